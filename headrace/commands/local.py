"""The local cloud as the command line sees it, and the commands `up`, `down` and `env`."""

from __future__ import annotations

import os
import shlex

import click

from headrace.client.environment import Environment
from headrace.commands.command import Call, command
from headrace.commands.parameters import PORT
from headrace.errors import SetupError
from headrace.invocation import with_path
from headrace.project.folder import state_folder
from headrace.project.local_cloud import UNSET, description, exports
from headrace.terminal.output import Output


@command(
    "up", "AWS on this machine, in one process, with IAM enforced; no account and no Docker. Says so if it is up "
    "already. Deploys nothing. Prints the endpoint.", local_only=True, opens=False,
)  # fmt: skip
@click.option(
    "--port", type=PORT, metavar="PORT", help="the port to listen on (default: the one it had, or a free one)"
)
def up(call: Call, *, port: int | None) -> None:
    cloud, output = call.cloud, call.output
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


@command("down", "What it holds stays in the state folder and is there after `up`.", local_only=True, opens=False)
def down(call: Call) -> None:
    output = call.output
    state = state_folder()
    stopped = call.cloud.stop(state)
    if output.as_json:
        output.json({"stopped": stopped, "state": str(state)})
    output.note(
        f"the local cloud is down; its state stays in {state}" if stopped else "no local cloud was running here"
    )


@command(
    "interrupt", "The job gets SIGTERM, as on AWS, and starts again on a new instance from its last checkpoint.",
    local_only=True, opens=False,
)  # fmt: skip
@click.argument("job", metavar="JOB", help="the training job's name; headrace runs --json shows them")
def interrupt(call: Call, *, job: str) -> None:
    cloud, output = call.cloud, call.output
    if cloud.running(state_folder()) is None:
        raise SetupError("the local cloud is not up, so no job runs", hint="headrace up")
    cloud.interrupt(state_folder(), job)
    output.note(f"{job} loses its capacity, if it trains on spot; it goes on from its last checkpoint")
    output.next("headrace watch")


@command(
    "env", 'Use it as eval "$(headrace env)": after that, aws, cdk and boto3 in this shell talk to the local cloud '
    "and to nothing else. One exception: version 1 of the AWS CLI has its own addresses for sqs, rds and emr, which "
    "--endpoint-url $AWS_ENDPOINT_URL alone overrides.", local_only=True,
)  # fmt: skip
def print_exports(environment: Environment, output: Output) -> None:
    """Lines for `eval`, or the same as JSON."""
    assert environment.running is not None
    variables = exports(environment.running, account=str(environment.account), region=environment.region)
    if output.as_json:
        output.json(variables)
        return
    elsewhere = sorted(name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_"))  # one service's each
    output.line(f"unset {' '.join([*UNSET, *elsewhere])}")
    for name, value in variables.items():
        output.line(f"export {name}={shlex.quote(value)}")
