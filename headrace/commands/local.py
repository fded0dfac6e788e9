"""The local cloud as the command line sees it, and the commands `up`, `down` and `env`."""

from __future__ import annotations

import os
import shlex

from headrace.errors import SetupError
from headrace.invocation import with_path
from headrace.project.folder import state_folder
from headrace.project.local_cloud import UNSET, LocalCloud, Running, description, exports
from headrace.terminal.output import Output


def up(cloud: LocalCloud, output: Output, *, port: int | None) -> None:
    """Starts the local cloud of this project, or says that it is up already."""
    state = state_folder()
    running = cloud.running(state)
    if running:
        running = cloud.start(state)
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
