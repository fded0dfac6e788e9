"""Everything about an environment in a few lines: `headrace status`."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from headrace.client.endpoint import read_endpoint
from headrace.client.environment import Environment, open_environment
from headrace.client.executions import list_executions
from headrace.client.model_packages import APPROVED, PENDING, list_packages
from headrace.client.projects import choose_project
from headrace.client.serving import Difference, find_differences, read_serving
from headrace.client.waiting import find_waiting
from headrace.commands.command import Call, command
from headrace.commands.redrive import count_set_aside
from headrace.errors import AwsError, SetupError
from headrace.formats import ago, counted, iso
from headrace.project.folder import state_folder
from headrace.project.local_cloud import description
from headrace.terminal.output import Output

LAST_RUNS = 3


@command(
    "status", "The local cloud, the stack, the last runs, the versions by approval, the endpoint and the version it "
    "serves.", opens=False,
)  # fmt: skip
def status(call: Call) -> None:
    """The command. A part that does not exist yet gets a line that says so; it is not an error."""
    output, is_local = call.output, call.is_local
    lines: dict[str, str] = {}
    data: dict[str, Any] = {"environment": call.env, "project": call.project}
    running = call.cloud.running(state_folder()) if is_local else None
    if is_local:
        data["local_cloud"] = description(running) if running else None
        lines["local cloud"] = f"up, {running.endpoint} (process {running.pid})" if running else "down"
    if is_local and running is None:
        output.facts(lines, data)
        output.next("headrace up")
        return
    environment = open_environment(call.env, call.cloud, rehearsed=is_local)
    try:
        _show(environment, output, lines, data, project=call.project, line=call.line)
    except AwsError as error:
        if error.hint is None or not error.hint.endswith(" status"):
            raise
        # That is this command: it would end in itself.
        hint = "headrace down; headrace up" if is_local else "aws sts get-caller-identity   # shows who you are"
        raise AwsError(str(error), hint=hint) from error


def _show(
    environment: Environment,
    output: Output,
    lines: dict[str, str],
    data: dict[str, Any],
    *,
    project: str | None,
    line: str | None,
) -> None:
    try:
        if project:
            choose_project(environment, project)
        if line:
            environment = environment.in_line(line)
        stack = environment.stack
    except SetupError as missing:
        data["stack"] = None
        lines["stack"] = str(missing)
        output.facts(lines, data)
        output.next(missing.hint or environment.command("status"))
        return
    data["stack"] = {"name": stack.name, "status": stack.status}
    lines["stack"] = f"{stack.name} {stack.status}"
    if stack.promotes_from:
        data["promotes_from"] = lines["promotes from"] = stack.promotes_from
        suggestion = _describe_serving(environment, lines, data)
    else:
        data["stack"]["data_bucket"] = stack.data_bucket
        lines["data bucket"] = f"s3://{stack.data_bucket}/datasets/"
        suggestion = environment.command(_describe(environment, lines, data))
    differences = [difference for each in environment.every_line for difference in _find_differences(each)]
    data["set_aside"] = aside = count_set_aside(environment)
    if aside:
        lines["dead letters"] = f"{counted(aside, 'message')} that could not be processed"
        suggestion = environment.command("redrive --list")
    data["differences"] = [difference.as_data() for difference in differences]
    for number, difference in enumerate(differences, start=1):
        lines["differs" if number == 1 else f"differs {number}"] = str(difference)
    if differences and not aside:
        suggestion = differences[0].command
    output.facts(lines, data)
    output.next(suggestion)


def _describe_serving(environment: Environment, lines: dict[str, str], data: dict[str, Any]) -> str:
    """Adds the source's registry and the endpoint; gives the command that fits what was found."""
    _add_endpoint(environment, lines, data)
    try:
        approvals = _add_registry(environment, lines, data)
    except SetupError as closed:
        data["registry"] = None
        lines["registry"] = str(closed)
        return closed.hint or environment.command("status")
    if approvals[APPROVED]:
        return environment.command("predict IMAGE")
    return environment.registry_command("models" if approvals[PENDING] else "status")


def _describe(environment: Environment, lines: dict[str, str], data: dict[str, Any]) -> str:
    """Adds runs, registry and endpoint; gives the command that fits what was found."""
    now = datetime.now(UTC)
    runs = list(itertools.islice(list_executions(environment), LAST_RUNS))
    data["runs"] = [{"id": run.id, "name": run.name, "status": run.status, "started": iso(run.started)} for run in runs]
    waiting = find_waiting(environment)
    data["waiting"] = [{"data_set": it.data_set, "setting": it.setting, "since": iso(it.since)} for it in waiting]
    if waiting:
        lines["waiting"] = "; ".join(it.words(now) for it in waiting)
    lines["last runs"] = "; ".join(f"{run.name} {run.status} ({ago(run.started, now)})" for run in runs) or "none yet"

    every = environment.every_line
    if len(every) > 1:
        approvals = _add_lines(every, lines, data)
    else:
        approvals = _add_registry(environment, lines, data)
        _add_endpoint(environment, lines, data)

    if runs and runs[0].going_on:
        return "watch"
    if not runs:
        return "upload FOLDER"
    if runs[0].status == "Failed":
        return f"logs {runs[0].name}"
    if approvals[PENDING]:
        return "models"
    return "predict IMAGE" if approvals[APPROVED] else "runs"


def _add_lines(every: list[Environment], lines: dict[str, str], data: dict[str, Any]) -> Counter[str]:
    """Each model line with its data sets, registry and endpoint; the approvals of all."""
    approvals: Counter[str] = Counter()
    data["lines"] = {}
    for line in every:
        own: dict[str, Any] = {"data_sets": list(line.stack.lines.get(str(line.line), ()))}
        shown: dict[str, str] = {}
        approvals += _add_registry(line, shown, own)
        _add_endpoint(line, shown, own)
        data["lines"][line.line] = own
        patterns = ", ".join(own["data_sets"]) or "all that no other line takes"
        lines[f"line {line.line}"] = f"data sets {patterns}; {shown['registry']}; endpoint {shown['endpoint']}"
    return approvals


def _find_differences(environment: Environment) -> list[Difference]:
    """None where another account's registry is closed, which has a separate line."""
    try:
        return find_differences(environment, read_serving(environment))
    except SetupError:
        return []


def _add_registry(environment: Environment, lines: dict[str, str], data: dict[str, Any]) -> Counter[str]:
    approvals = Counter(item.get("ModelApprovalStatus", PENDING) for item in list_packages(environment))
    data["registry"] = dict(sorted(approvals.items()))
    by_status = ", ".join(f"{count} {approval}" for approval, count in sorted(approvals.items()))
    lines["registry"] = f"{counted(approvals.total(), 'version')}: {by_status}" if approvals else "no version yet"
    return approvals


def _add_endpoint(environment: Environment, lines: dict[str, str], data: dict[str, Any]) -> None:
    endpoint = read_endpoint(environment)
    data["endpoint"] = {
        "name": environment.stack.endpoint,
        "status": endpoint.status if endpoint else None,
        "version": endpoint.version if endpoint else None,
        "reason": endpoint.reason if endpoint else None,
    }
    lines["endpoint"] = f"{environment.stack.endpoint} is not there"
    if endpoint:
        serving = f", serves version {endpoint.version}" if endpoint.version is not None else ""
        reason = f": {endpoint.reason}" if endpoint.reason else ""
        lines["endpoint"] = f"{endpoint.name} {endpoint.status}{serving}{reason}"
