"""What the jobs of a run wrote: `headrace logs`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from headrace.environment import Environment
from headrace.errors import NotFound, is_missing
from headrace.executions import Execution, Step, find_execution, list_steps
from headrace.output import Output
from headrace.wording import iso

GROUPS = {
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}


@dataclass(frozen=True, slots=True)
class Line:
    moment: datetime
    stream: str
    text: str


def show_logs(
    environment: Environment, output: Output, *, name: str | None, step_name: str | None, tail: int | None
) -> None:
    """The command: one step's log, or those of all steps that ran a job."""
    execution, step_name = _find(environment, name, step_name)
    steps = list_steps(environment, execution)
    if step_name is not None:
        chosen = [_step_named(environment, execution, steps, step_name)]
    else:
        chosen = [step for step in steps if step.job and not step.cached_from]
    if not chosen:
        raise NotFound(
            f"no step of run {execution.id} has run a job of its own", hint=environment.command(f"watch {execution.id}")
        )
    data: list[dict[str, Any]] = []
    for step in chosen:
        try:
            lines = list(read_lines(environment, step, tail))
        except NotFound as missing:
            if step_name is not None:
                raise
            output.note(f"== {step.name}: {missing}")
            continue
        if len(chosen) > 1:
            output.note(f"== {step.name} ({step.status}), {step.job}")
        if output.as_json:
            data.extend(
                {"step": step.name, "stream": line.stream, "time": iso(line.moment), "message": line.text}
                for line in lines
            )
            continue
        several = len({line.stream for line in lines}) > 1
        for line in lines:
            output.line(f"[{line.stream.rsplit('/', 1)[-1]}] {line.text}" if several else line.text)
    if output.as_json:
        output.json(data)


def last_lines(environment: Environment, step: Step, count: int) -> list[str]:
    """The last `count` lines of a step's job.

    Raises:
        NotFound: there is no log; the message says why.
    """
    return [line.text for line in read_lines(environment, step, count)]


def read_lines(environment: Environment, step: Step, tail: int | None = None) -> Iterator[Line]:
    """The lines of a step's job or function, oldest first; only the last `tail` of them if given.

    Raises:
        NotFound: the step ran no job, or its job has written nothing; the message says which.
    """
    if step.job is None or step.job_kind is None:
        raise NotFound(f"step {step.name} runs no job, so it has no log", hint=environment.command("logs"))
    if step.job_kind == "Lambda":
        # A function's log is shared by all its calls: take the time in which the step ran.
        group = f"/aws/lambda/{step.job}"
        narrowed: dict[str, Any] = _time_of(step)
    else:
        group, narrowed = GROUPS[step.job_kind], {"logStreamNamePrefix": step.job}
    with environment.doing(f"reading the log {group} of {step.job}"):
        try:
            pages = (
                environment.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, **narrowed)
            )
            events = deque((event for page in pages for event in page["events"]), maxlen=tail)
        except ClientError as error:
            if not is_missing(error):
                raise
            events = deque()
    if not events:
        waiting = (
            "has not written yet" if step.ended is None else "ended without writing a line, or its log has expired"
        )
        raise NotFound(f"no log: {step.job} {waiting} (log group {group})", hint=environment.command("runs"))
    for event in events:
        moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
        yield Line(moment, event["logStreamName"], event["message"].rstrip("\n"))


def _find(environment: Environment, name: str | None, step: str | None) -> tuple[Execution, str | None]:
    """`logs TrainSpot` means that step of the newest run, when no run has that name."""
    try:
        return find_execution(environment, name), step
    except NotFound:
        if name is None or step is not None:
            raise
        newest = find_execution(environment, None)
        if all(known.name != name for known in list_steps(environment, newest)):
            raise
        return newest, name


def _step_named(environment: Environment, execution: Execution, steps: list[Step], name: str) -> Step:
    found = next((step for step in steps if step.name == name), None)
    if found is None:
        known = ", ".join(step.name for step in steps) or "none has started"
        raise NotFound(
            f"run {execution.id} has no step {name!r} (its steps so far: {known})",
            hint=environment.command(f"logs {execution.id}"),
        )
    if found.cached_from:
        raise NotFound(
            f"step {name} of run {execution.id} was cached: it took the result of run {found.cached_from}",
            hint=environment.command(f"logs {found.cached_from} {name}"),
        )
    return found


def _time_of(step: Step) -> dict[str, int]:
    start = step.started or datetime.now(UTC)
    end = (step.ended or datetime.now(UTC)) + timedelta(seconds=5)  # the last lines arrive after the answer
    return {"startTime": int(start.timestamp() * 1000), "endTime": int(end.timestamp() * 1000)}
