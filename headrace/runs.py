"""Runs with what people ask of them (data set, accuracy, reason, savings): `headrace runs`, `headrace run --again`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote
from typing import Any

from botocore.exceptions import ClientError

from headrace import lines, pipeline_parameters
from headrace.costs import JobCost, read_cost, rounded
from headrace.environment import Environment
from headrace.errors import NotFound, UsageError, is_missing
from headrace.executions import Execution, Step, list_executions, list_steps, read_parameters
from headrace.output import Output
from headrace.prices import PRICES_FILE
from headrace.reasons import read_reason
from headrace.results import Evaluation, evaluation_of
from headrace.wording import duration, iso, money, share, when

COLUMNS = ("run", "started", "duration", "status", "data set", "accuracy", "spot saves", "cost", "at most", "reason")
AT_MOST = re.compile(r"costs at most ([0-9.]+) USD")  # the cost guard's words, in lambda/start_pipeline/runs/ledger.py


@dataclass(frozen=True, slots=True)
class Run:
    execution: Execution
    steps: tuple[Step, ...]
    parameters: dict[str, str]
    evaluation: Evaluation | None
    costs: tuple[JobCost, ...]

    @property
    def failed_step(self) -> Step | None:
        return next((step for step in self.steps if step.status == "Failed"), None)

    @property
    def reason(self) -> str | None:
        step = self.failed_step
        if step:
            return f"{step.name}: {read_reason(step.reason).line()}"
        return None if self.execution.status == "Succeeded" else self.execution.reason

    @property
    def ended(self) -> datetime | None:
        """The end of the last step: ListPipelineExecutions has no end time."""
        ends = [step.ended for step in self.steps if step.ended]
        return None if self.execution.going_on or not ends else max(ends)

    def seconds(self, now: datetime) -> float | None:
        end = now if self.execution.going_on else self.ended
        return (end - self.execution.started).total_seconds() if end else None

    @property
    def saving(self) -> float | None:
        """What spot capacity saved of this run's spot training time, as a share; None if it trained none."""
        spot = [cost for cost in self.costs if cost.spot]
        total = sum(cost.seconds for cost in spot)
        return 1 - sum(cost.billable_seconds for cost in spot) / total if total else None

    @property
    def cost(self) -> float | None:
        """What its jobs have cost so far, in USD; None if the type of an instance has no price."""
        amounts = [cost.usd for cost in self.costs]
        return None if None in amounts else sum(filter(None, amounts))

    @property
    def saved(self) -> float | None:
        """What spot capacity saved, in USD; None if the type of an instance has no price."""
        amounts = [cost.saved_usd for cost in self.costs]
        return None if None in amounts else sum(filter(None, amounts))

    @property
    def estimated_cost(self) -> float | None:
        """The most in USD that it may cost, as the cost guard reckoned before it started; None if nothing asked it."""
        found = AT_MOST.search(self.execution.description)
        return float(found[1]) if found else None

    def as_data(self, now: datetime) -> dict[str, Any]:
        return {
            "id": self.execution.id,
            "arn": self.execution.arn,
            "name": self.execution.display_name,
            "status": self.execution.status,
            "started": iso(self.execution.started),
            "ended": iso(self.ended),
            "duration_seconds": self.seconds(now),
            "data_set": self.parameters.get("DataSet"),
            "fingerprint": self.parameters.get("Fingerprint"),
            "accuracy": self.evaluation.accuracy if self.evaluation else None,
            "winner": self.evaluation.winner if self.evaluation else None,
            "reason": self.reason,
            "parameters": self.parameters,
            "cost_usd": rounded(self.cost),
            "estimated_cost_usd": self.estimated_cost,
            "spot_saved_usd": rounded(self.saved),
            "training": [cost.as_data() for cost in self.costs if cost.kind == "TrainingJob"],
            "processing": [cost.as_data() for cost in self.costs if cost.kind == "ProcessingJob"],
            "steps": [
                {
                    "name": step.name,
                    "status": step.status,
                    "duration_seconds": step.seconds(now),
                    "cached_from": step.cached_from,
                    "reason": step.reason,
                    "job": step.job,
                }
                for step in self.steps
            ],
        }


def read_run(environment: Environment, execution: Execution) -> Run:
    steps = list_steps(environment, execution)
    costs = (read_cost(environment, step) for step in steps)
    return Run(
        execution=execution,
        steps=tuple(steps),
        parameters=read_parameters(environment, execution.arn),
        evaluation=evaluation_of(environment, steps),
        costs=tuple(cost for cost in costs if cost),
    )


def read_runs(environment: Environment, limit: int) -> tuple[list[Run], bool]:
    """The newest `limit` runs (0: all of them), newest first, and whether there are older ones."""
    executions = list_executions(environment)
    taken = list(itertools.islice(executions, limit or None))
    with ThreadPoolExecutor(8, thread_name_prefix="runs") as pool:
        runs = list(pool.map(lambda execution: read_run(environment, execution), taken))
    return runs, next(executions, None) is not None


def show_runs(environment: Environment, output: Output, *, limit: int) -> None:
    """The command `runs`."""
    now = datetime.now(UTC)
    runs, more = read_runs(environment, limit)
    if not runs and not output.as_json:
        output.note("there are no runs yet")
        output.next(environment.command("upload FOLDER"))
        return
    several = {line.stack.pipeline: str(line.line) for line in environment.every_line}
    if len(several) > 1:
        named = [several[run.execution.pipeline] for run in runs]
        output.table(
            ("line", *COLUMNS),
            [[line, *_row(run, now)] for line, run in zip(named, runs, strict=True)],
            [{"line": line, **run.as_data(now)} for line, run in zip(named, runs, strict=True)],
        )
    else:
        output.table(COLUMNS, [_row(run, now) for run in runs], [run.as_data(now) for run in runs])
    warn_of_unpriced(environment, output, runs)
    if more:
        output.note(f"the newest {limit}; older ones are there too: {environment.command('runs --limit 0')}")
    if runs and runs[0].execution.going_on:
        output.next(environment.command("watch"))
    elif runs and runs[0].execution.status == "Failed":
        output.next(environment.command(f"logs {runs[0].execution.name}"))
    elif runs:
        output.next(environment.command("models"))


def warn_of_unpriced(environment: Environment, output: Output, runs: list[Run]) -> None:
    """One warning for all the question marks."""
    types = sorted({kind for run in runs for cost in run.costs for kind in cost.unpriced})
    if types:
        region = environment.prices.region
        output.warn(f"no price for {', '.join(types)}: add it under [{region}.usd_per_hour] in {PRICES_FILE}")


def run_again(
    environment: Environment,
    output: Output,
    *,
    data_set: str | None,
    again: bool,
    chosen: Mapping[str, str] | None = None,
) -> None:
    """The command `run`: asks for a new run on data that has not changed since its last one.

    Parameters that are `chosen` go with the message to the trigger, which starts the run: so ledger, budget and
    fingerprint hold for it as for any other.
    """
    if not again and not chosen:
        raise UsageError(
            "a run starts by itself when data is uploaded",
            hint=f"{environment.command('run --again')}   # starts one on unchanged data",
        )
    if data_set is None:
        newest = next(list_executions(environment), None)
        data_set = read_parameters(environment, newest.arn).get("DataSet") if newest else None
        if data_set is None:
            raise NotFound("there is no run to repeat yet", hint=environment.command("upload FOLDER"))
    _check_data_set(environment, data_set)
    environment = lines.of_data_set(environment, data_set)
    if chosen:
        pipeline_parameters.check(environment, chosen)
    began = datetime.now(UTC)
    with environment.doing(f"asking for a new run on {data_set}"):
        environment.client("sqs").send_message(
            QueueUrl=environment.stack.upload_queue_url,
            MessageBody=json.dumps(
                {"headrace": "run-again", "data_set": data_set, **({"parameters": dict(chosen)} if chosen else {})}
            ),
        )
    parameters = ", ".join(f"{name}={value}" for name, value in (chosen or {}).items())
    output.note(f"asked for a new run on {data_set}" + (f" with {parameters}" if parameters else ""))
    if output.as_json:
        output.json({"data_set": data_set, "asked": iso(began), "parameters": dict(chosen or {})})
    output.next(environment.command(f"watch --after {iso(began)} --data-set {quote(data_set)}"))


def _check_data_set(environment: Environment, data_set: str) -> None:
    client, bucket = environment.client("s3"), environment.stack.data_bucket
    with environment.doing(f"looking for the data set {data_set}"):
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"datasets/{data_set}/", MaxKeys=1).get("KeyCount", 0)
        if found or _is_object(client, bucket, f"datasets/{data_set}"):
            return
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="datasets/", Delimiter="/")
        known = sorted(
            name.removeprefix("datasets/").rstrip("/")
            for page in pages
            for name in [item["Prefix"] for item in page.get("CommonPrefixes", [])]
            + [item["Key"] for item in page.get("Contents", [])]
        )
    raise NotFound(
        f"there is no data set {data_set!r}; there is {', '.join(known) or 'none'}",
        hint=environment.command(f"run --again {known[0]}" if known else "upload FOLDER"),
    )


def _is_object(client: Any, bucket: str, key: str) -> bool:
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return True


def _row(run: Run, now: datetime) -> list[str]:
    return [
        run.execution.name,
        when(run.execution.started, now),
        duration(run.seconds(now)),
        run.execution.status,
        run.parameters.get("DataSet", "-"),
        share(run.evaluation.accuracy if run.evaluation else None),
        "-" if run.saving is None else f"{run.saving:.0%}, {money(run.saved)}",
        money(run.cost),
        "-" if run.estimated_cost is None else money(run.estimated_cost),
        " ".join((run.reason or "").split()),
    ]
