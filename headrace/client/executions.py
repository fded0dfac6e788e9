"""Executions of the environment's pipeline and their steps, as SageMaker describes them."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from shlex import quote
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.errors import NotFound, is_missing

GOING_ON = {"Executing", "Stopping"}


@dataclass(frozen=True, slots=True)
class Execution:
    arn: str
    display_name: str
    status: str  # Executing, Stopping, Stopped, Failed or Succeeded
    started: datetime
    description: str  # the cost guard's words, "costs at most 8.84 USD"
    reason: str | None  # generic on AWS ("one or multiple steps failed"): a step's reason says more
    newest_of_name: bool = True  # whether `find_execution` finds it by its display name

    @property
    def name(self) -> str:
        """What commands show and take: the display name (birds-0123abcd), or the id where a newer run has that name."""
        return self.display_name if self.display_name and self.newest_of_name else self.id

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[-1]

    @property
    def pipeline(self) -> str:
        return self.arn.partition(":pipeline/")[2].partition("/")[0]

    @property
    def going_on(self) -> bool:
        return self.status in GOING_ON

    def answers_to(self, name: str) -> bool:
        return name in (self.id, self.arn, self.display_name)


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    status: str
    started: datetime | None
    ended: datetime | None
    reason: str | None
    cached_from: str | None  # the id of the execution whose result was taken
    outcome: str | None  # of a Condition: True or False
    attempt: int
    job_kind: str | None  # TrainingJob, ProcessingJob, TransformJob or Lambda
    job_arn: str | None
    outputs: Mapping[str, str] = field(default_factory=dict)  # of a Lambda step

    @property
    def job(self) -> str | None:
        """The job's name, or the function's."""
        if self.job_arn is None:
            return None
        return self.job_arn.split(":")[6] if self.job_kind == "Lambda" else self.job_arn.rsplit("/", 1)[-1]

    def seconds(self, now: datetime) -> float | None:
        return (((self.ended or now) - self.started).total_seconds()) if self.started else None


def list_executions(environment: Environment) -> Iterator[Execution]:
    """All executions, newest first, of all lines or of the chosen one; fetched page by page as they are taken."""
    every = [_list_executions(line) for line in environment.every_line]
    names: set[str] = set()
    for execution in heapq.merge(*every, key=lambda execution: execution.started, reverse=True):
        yield replace(execution, newest_of_name=execution.display_name not in names)
        names.add(execution.display_name)


def _list_executions(environment: Environment) -> Iterator[Execution]:
    """Those of one line; none while there is no pipeline yet."""
    pipeline = environment.stack.pipeline
    with environment.doing(f"listing the runs of {pipeline}"):
        try:
            pages = (
                environment.client("sagemaker")
                .get_paginator("list_pipeline_executions")
                .paginate(
                    PipelineName=pipeline,
                    SortBy="CreationTime",
                    SortOrder="Descending",
                    PaginationConfig={"PageSize": 100},
                )
            )
            for page in pages:
                yield from map(_execution, page["PipelineExecutionSummaries"])
        except ClientError as error:
            if not is_missing(error):  # the first upload creates the pipeline
                raise


def find_execution(environment: Environment, name: str | None) -> Execution:
    """The execution of that display name (the newest of several), id or ARN; the newest of all without a name.

    Raises:
        NotFound: there is none.
    """
    executions = list_executions(environment)
    if name is None:
        newest = next(executions, None)
        if newest is None:
            raise NotFound("there are no runs yet", hint=environment.command("upload FOLDER"))
        return newest
    found = next((execution for execution in executions if execution.answers_to(name)), None)
    if found is None:
        pipelines = " and ".join(line.stack.pipeline for line in environment.every_line)
        raise NotFound(f"no run of {pipelines} has the name, id or ARN {name!r}", hint=environment.command("runs"))
    return found


def read_execution(environment: Environment, arn: str) -> Execution:
    with environment.doing(f"reading the run {arn.rsplit('/', 1)[-1]}"):
        answer = environment.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    return Execution(
        arn=arn,
        display_name=answer.get("PipelineExecutionDisplayName", ""),
        status=answer["PipelineExecutionStatus"],
        started=answer["CreationTime"],
        description=answer.get("PipelineExecutionDescription", ""),
        reason=answer.get("FailureReason"),
    )


def refresh(environment: Environment, execution: Execution) -> Execution:
    """The same execution as it is now."""
    return replace(read_execution(environment, execution.arn), newest_of_name=execution.newest_of_name)


def name_of(environment: Environment, execution_id: str) -> str:
    """What to call an execution that another one refers to: its name, or its id where it was deleted."""
    return next((known.name for known in list_executions(environment) if known.id == execution_id), execution_id)


def list_steps(environment: Environment, execution: Execution) -> list[Step]:
    """The steps that have been scheduled, in the order in which they started."""
    with environment.doing(f"listing the steps of {execution.name}"):
        pages = (
            environment.client("sagemaker")
            .get_paginator("list_pipeline_execution_steps")
            .paginate(PipelineExecutionArn=execution.arn, SortOrder="Ascending")
        )
        steps = [_step(item) for page in pages for item in page["PipelineExecutionSteps"]]
    return sorted(steps, key=lambda step: (step.started is None, step.started.timestamp() if step.started else 0.0))


def read_parameters(environment: Environment, execution_arn: str) -> dict[str, str]:
    with environment.doing(f"reading the parameters of {execution_arn.rsplit('/', 1)[-1]}"):
        pages = (
            environment.client("sagemaker")
            .get_paginator("list_pipeline_parameters_for_execution")
            .paginate(PipelineExecutionArn=execution_arn)
        )
        return {item["Name"]: item["Value"] for page in pages for item in page["PipelineParameters"]}


def wait_for_execution(
    environment: Environment,
    *,
    after: datetime,
    seconds: float,
    data_set: str | None = None,
    interval: float = 2.0,
    waiting: Callable[[Execution | None], None] = lambda newest: None,
) -> Execution:
    """The newest execution, of that data set if one is named, once it is going on or was started at or after `after`.

    `waiting` is called once, before the first wait, with the newest execution (none: there are no runs).

    Raises:
        NotFound: none appeared within `seconds`.
    """
    deadline = time.monotonic() + seconds
    for attempt in itertools.count():
        newest = _newest(environment, data_set, after)
        if newest and (newest.going_on or newest.started >= after):
            return newest
        if time.monotonic() + interval > deadline:
            raise NotFound(
                f"no run started within {seconds:.0f} s; an upload starts none when its content has been run before",
                hint=environment.command("run --again" + (f" {quote(data_set)}" if data_set else ""))
                + "   # starts one on the same data",
            )
        if attempt == 0:
            waiting(newest)
        time.sleep(interval)
    raise AssertionError("unreachable")


def _newest(environment: Environment, data_set: str | None, after: datetime) -> Execution | None:
    """The newest of all, or of one data set; of older ones that have ended none is asked which data set it had."""
    executions = list_executions(environment)
    if data_set is None:
        return next(executions, None)
    for execution in executions:
        if (execution.going_on or execution.started >= after) and (
            read_parameters(environment, execution.arn).get("DataSet") == data_set
        ):
            return execution
        if not execution.going_on and execution.started < after:
            return None
    return None


def _execution(item: dict[str, Any]) -> Execution:
    return Execution(
        arn=item["PipelineExecutionArn"],
        display_name=item.get("PipelineExecutionDisplayName", ""),
        status=item["PipelineExecutionStatus"],
        started=item["StartTime"],
        description=item.get("PipelineExecutionDescription", ""),
        reason=item.get("PipelineExecutionFailureReason"),
    )


def _step(item: dict[str, Any]) -> Step:
    metadata = item.get("Metadata", {})
    kind = next((kind for kind in ("TrainingJob", "ProcessingJob", "TransformJob", "Lambda") if kind in metadata), None)
    # A step that was not a cache hit may have an empty ARN here.
    source = item.get("CacheHitResult", {}).get("SourcePipelineExecutionArn") or None
    return Step(
        name=item["StepName"],
        status=item["StepStatus"],
        started=item.get("StartTime"),
        ended=item.get("EndTime"),
        reason=item.get("FailureReason"),
        cached_from=source.rsplit("/", 1)[-1] if source else None,
        outcome=metadata.get("Condition", {}).get("Outcome"),
        attempt=item.get("AttemptCount", 0),
        job_kind=kind,
        job_arn=metadata[kind].get("Arn") if kind else None,
        outputs={item["Name"]: item["Value"] for item in metadata.get("Lambda", {}).get("OutputParameters", [])},
    )
