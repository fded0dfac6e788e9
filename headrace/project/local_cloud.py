"""The local cloud of this project: whether it runs, and the variables that send AWS tools to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from headrace.errors import SetupError
from headrace.project.local_images import read_images

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


class _Process(LocalCloud, Protocol):
    """The module local_cloud.process."""

    def start(
        self, state: Path, *, port: int | None = None, images: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Running: ...


class ProcessCloud:
    """The real one. Imported when first asked, so that commands on AWS need no local cloud installed."""

    def start(self, state: Path, *, port: int | None = None) -> Running:
        """With [local.images] of environments.toml, which it also applies to one that is up already."""
        images = read_images()
        return self._ask(lambda process: process.start(state, port=port, images=images))

    def stop(self, state: Path) -> bool:
        return self._ask(lambda process: process.stop(state))

    def running(self, state: Path) -> Running | None:
        return self._ask(lambda process: process.running(state))

    def secret_key(self, state: Path, account: str) -> str:
        return self._ask(lambda process: process.secret_key(state, account))

    def interrupt(self, state: Path, job: str) -> None:
        self._ask(lambda process: process.interrupt(state, job))

    def _ask(self, question: Callable[[_Process], Answer]) -> Answer:
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
