"""The lines that one step of one run wrote, read from CloudWatch Logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.client.executions import Execution, Step
from headrace.errors import NotFound, is_missing

GROUPS = {
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}
EARLY, LATE = timedelta(seconds=2), timedelta(seconds=5)  # clocks differ, and the last lines arrive after the answer
# Lambda's own lines around each invocation, as text or as JSON (the two log formats of a function).
BEGINS = re.compile(r'^START RequestId: (\S+)|"type": ?"platform\.start".*"requestId": ?"([^"]+)"')
ENDS = re.compile(r'^REPORT RequestId: (\S+)|"type": ?"platform\.report".*"requestId": ?"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Line:
    moment: datetime
    stream: str
    text: str
    id: str


def read_lines(
    environment: Environment, execution: Execution, step: Step, *, since: datetime | None = None
) -> list[Line]:
    """The lines of a step's job, or of the function's invocation for this run, oldest first.

    Raises:
        NotFound: the step ran no job, its job has written nothing, or the invocation cannot be identified.
    """
    if step.job is None or step.job_kind is None:
        raise NotFound(f"step {step.name} runs no job, so it has no log", hint=environment.command("runs"))
    if step.job_kind == "Lambda":
        group = _group_of_function(environment, step)
        lines = _own_invocation(environment, execution, step, group)
        lines = [line for line in lines if since is None or line.moment >= since]
    else:
        group = GROUPS[step.job_kind]
        start = {} if since is None else {"startTime": _milliseconds(since)}
        # A stream is called <job>/<host>-<number>; without the slash the prefix would hold other jobs' streams.
        lines = list(_events(environment, step, group, {"logStreamNamePrefix": f"{step.job}/"} | start))
    if not lines:
        waiting = (
            "has not written yet" if step.ended is None else "ended without writing a line, or its log has expired"
        )
        raise NotFound(f"no log: {step.job} {waiting} (log group {group})", hint=environment.command("runs"))
    return lines


def _group_of_function(environment: Environment, step: Step) -> str:
    """A function may write to any log group; its configuration says to which."""
    with environment.doing(f"reading the configuration of the function {step.job}"):
        try:
            found = environment.client("lambda").get_function_configuration(FunctionName=step.job)
        except ClientError as error:
            if not is_missing(error):
                raise
            raise NotFound(
                f"no log: the function {step.job} of step {step.name} is gone, and its log group with it",
                hint=environment.command("runs"),
            ) from error
    return str(found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{step.job}")


def _own_invocation(environment: Environment, execution: Execution, step: Step, group: str) -> list[Line]:
    """All runs share the function's log: its lines of the step's time, of the invocation that names this run.

    A function that does not log the run's ARN is distinguished by the time alone, which works while it is the only one.
    """
    start = (step.started or datetime.now(UTC)) - EARLY
    end = (step.ended or datetime.now(UTC)) + LATE
    window = {"startTime": _milliseconds(start), "endTime": _milliseconds(end)}
    lines = list(_events(environment, step, group, window))
    invocations = list(_invocations(lines))
    own = [found for found in invocations if any(execution.arn in line.text for line in found)]
    if not own and len(invocations) > 1:
        raise NotFound(
            f"no log: {len(invocations)} invocations of {step.job} ran during step {step.name}, and none of them logs "
            f"the run's ARN (log group {group})",
            hint=f"have the function print the run's ARN, which the step can hand it as "
            f'{{"Get": "Execution.PipelineExecutionArn"}}; all lines: aws logs filter-log-events --log-group-name '
            f"{group} --start-time {window['startTime']} --end-time {window['endTime']}",
        )
    return sorted((line for found in own or invocations for line in found), key=lambda line: line.moment)


def _invocations(lines: list[Line]) -> Iterator[list[Line]]:
    """The lines of each invocation; a stream holds one invocation after the other."""
    for _, stream in groupby(sorted(lines, key=lambda line: line.stream), key=lambda line: line.stream):
        current: list[Line] = []
        for line in stream:
            if BEGINS.search(line.text) and current:
                yield current
                current = []
            current.append(line)
            if ENDS.search(line.text):
                yield current
                current = []
        if current:
            yield current


def _events(environment: Environment, step: Step, group: str, narrowed: dict[str, Any]) -> Iterator[Line]:
    with environment.doing(f"reading the log {group} of {step.job}"):
        try:
            pages = (
                environment.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, **narrowed)
            )
            for page in pages:
                for event in page["events"]:
                    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    text = event["message"].rstrip("\n")
                    yield Line(moment, event["logStreamName"], text, event["eventId"])
        except ClientError as error:
            if not is_missing(error):  # the first job of a kind makes the group
                raise


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
