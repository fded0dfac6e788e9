"""Bringing the endpoint back to what the registry wants: `headrace repair`."""

from __future__ import annotations

from headrace.client import lines
from headrace.client.endpoint import wait_for_endpoint
from headrace.client.environment import Environment
from headrace.client.model_packages import PENDING, find_model
from headrace.client.serving import Serving, ask_for_deployment, read_serving
from headrace.commands.command import command
from headrace.commands.decision import refuse_unpinned
from headrace.commands.parameters import interval_option, wait_option
from headrace.errors import NotFound
from headrace.terminal.output import Output


@command(
    "repair", "For an endpoint that was deleted, moved or broken by hand. Deploys what the registry wants, also if "
    "it was rolled back before.",
)  # fmt: skip
@wait_option("how long to wait for the endpoint")
@interval_option()
def repair(environment: Environment, output: Output, *, wait: float, interval: float) -> Serving:
    """The command: says what there is, asks for the deployment and, with --wait, waits for it."""
    environment = lines.of_one(environment, "repair")
    serving = read_serving(environment)
    if serving.wanted is None:
        waiting = any(item.get("ModelApprovalStatus") == PENDING for item in serving.packages)
        hint = environment.registry_command("approve latest" if waiting else "models")
        raise NotFound("no version is approved, so there is none to deploy", hint=hint)
    refuse_unpinned(environment, find_model(environment, str(serving.wanted)))
    output.note(f"endpoint {environment.stack.endpoint}: {_describe(serving)}; wanted: version {serving.wanted}")
    ask_for_deployment(environment)
    if wait > 0:
        endpoint = wait_for_endpoint(environment, seconds=wait, interval=interval)
        output.note(f"endpoint {endpoint.name} serves version {endpoint.version}")
    if output.as_json:
        output.json({"endpoint": environment.stack.endpoint, "served": serving.served, "wanted": serving.wanted})
    else:
        output.line(f"version {serving.wanted}: deployment asked for")
    output.next(environment.command("predict --wait 600 IMAGE"), f"waits until version {serving.wanted} is served")
    return serving


def _describe(serving: Serving) -> str:
    if serving.endpoint is None:
        return "not there"
    served = f", serves version {serving.served}" if serving.served is not None else ""
    return f"{serving.endpoint.status}{served}"
