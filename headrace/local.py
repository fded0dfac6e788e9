"""The local cloud as the command line sees it, and the commands `up`, `down` and `env`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from headrace.errors import SetupError
from headrace.invocation import with_path
from headrace.output import Output
from headrace.project import state_folder

Answer = TypeVar("Answer")

# What would send a shell's AWS tools elsewhere, or make them refuse the test credentials.
UNSET = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


class Running(Protocol):
    """A local cloud that is up."""

    @property
    def pid(self) -> int: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def certificate(self) -> Path: ...
    @property
    def region(self) -> str: ...
    @property
    def account(self) -> str: ...
    def secret_key(self, account: str) -> str: ...


class LocalCloud(Protocol):
    """The one seam to the local cloud: starts, stops and finds the process that belongs to a state folder."""

    def start(self, state: Path, *, port: int | None = None) -> Running: ...
    def stop(self, state: Path) -> bool: ...
    def running(self, state: Path) -> Running | None: ...
    def secret_key(self, state: Path, account: str) -> str: ...
    def interrupt(self, state: Path, job: str) -> None: ...


class ProcessCloud:
    """The real one. Imported when first asked, so that commands on AWS need no local cloud installed."""

    def start(self, state: Path, *, port: int | None = None) -> Running:
        return self._ask(lambda process: process.start(state, port=port))

    def stop(self, state: Path) -> bool:
        return self._ask(lambda process: process.stop(state))

    def running(self, state: Path) -> Running | None:
        return self._ask(lambda process: process.running(state))

    def secret_key(self, state: Path, account: str) -> str:
        return self._ask(lambda process: process.secret_key(state, account))

    def interrupt(self, state: Path, job: str) -> None:
        self._ask(lambda process: process.interrupt(state, job))

    def _ask(self, question: Callable[[LocalCloud], Answer]) -> Answer:
        try:
            from local_cloud import process
            from local_cloud.errors import LocalCloudError
        except ImportError as error:
            raise SetupError(f"the local cloud cannot be loaded: {error}", hint="make install") from error
        try:
            return question(process)
        except LocalCloudError as error:
            message, _, hint = str(error).partition("\nhint: ")  # it carries its own
            raise SetupError(message, hint=hint or None) from error


def up(cloud: LocalCloud, output: Output, *, port: int | None) -> None:
    """Starts the local cloud of this project, or says that it is up already."""
    state = state_folder()
    running = cloud.running(state)
    if running:
        output.note(f"the local cloud is already up (process {running.pid})")
        if port is not None and not running.endpoint.endswith(f":{port}"):
            output.warn(f"--port {port} has no effect on a running local cloud: headrace down first")
    else:
        output.note(f"starting the local cloud, state in {state} …")
        running = cloud.start(state, port=port)
        output.note(f"the local cloud is up (process {running.pid})")
    if output.as_json:
        output.json(description(running))
        return
    output.line(running.endpoint)
    output.note(with_path('for the AWS CLI and other tools in this shell: eval "$(headrace env)"'))
    output.next("headrace status", "says what is deployed in it, and how to deploy")


def down(cloud: LocalCloud, output: Output) -> None:
    """Stops the local cloud; what it holds stays in the state folder."""
    state = state_folder()
    stopped = cloud.stop(state)
    if output.as_json:
        output.json({"stopped": stopped, "state": str(state)})
    output.note(
        f"the local cloud is down; its state stays in {state}" if stopped else "no local cloud was running here"
    )


def interrupt(cloud: LocalCloud, output: Output, *, job: str) -> None:
    """Takes the spot capacity of a running training job away."""
    if cloud.running(state_folder()) is None:
        raise SetupError("the local cloud is not up, so no job runs", hint="headrace up")
    cloud.interrupt(state_folder(), job)
    output.note(f"{job} loses its capacity, if it trains on spot; it goes on from its last checkpoint")
    output.next("headrace watch")


def print_exports(running: Running, output: Output, *, account: str, region: str) -> None:
    """Lines for `eval`, or the same as JSON."""
    variables = exports(running, account=account, region=region)
    if output.as_json:
        output.json(variables)
        return
    elsewhere = sorted(name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_"))  # one service's each
    output.line(f"unset {' '.join([*UNSET, *elsewhere])}")
    for name, value in variables.items():
        output.line(f"export {name}={shlex.quote(value)}")


def exports(running: Running, *, account: str, region: str) -> dict[str, str]:
    """The environment in which any AWS tool talks to that account of the local cloud, and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": running.secret_key(account),
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_CA_BUNDLE": str(running.certificate),
        "NODE_EXTRA_CA_CERTS": str(running.certificate),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def description(running: Running) -> dict[str, object]:
    return {
        "pid": running.pid,
        "endpoint": running.endpoint,
        "region": running.region,
        "account": running.account,
        "certificate": str(running.certificate),
    }
