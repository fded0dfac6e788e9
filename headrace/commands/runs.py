"""Runs with what people ask of them (data set, accuracy, reason, savings): `headrace runs`, `headrace run --again`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from shlex import quote
from typing import Any

import click
from botocore.exceptions import ClientError

from headrace.client import lines, pipeline_parameters
from headrace.client.environment import Environment
from headrace.client.executions import list_executions, read_parameters
from headrace.client.prices import PRICES_FILE
from headrace.client.runs import Run, read_runs
from headrace.commands.command import command
from headrace.commands.parameters import COUNT, set_option
from headrace.errors import NotFound, UsageError, is_missing
from headrace.formats import duration, iso, money, share, when
from headrace.terminal.output import Output

COLUMNS = ("run", "started", "duration", "status", "data set", "accuracy", "spot saves", "cost", "at most", "reason")


@command(
    "runs", "With data set, accuracy on the test set, the share of spot training time that was not billed and its "
    "worth, what the run's jobs cost and the most that they might have cost, and the reason of a failure. Money is "
    "USD at the prices in prices.toml; runs of the local cloud show what the same seconds cost on AWS. --json adds "
    "parameters, steps and each job's billed seconds and cost.", training="runs",
)  # fmt: skip
@click.option("--limit", type=COUNT, default=20, metavar="N", help="how many; 0 for all (default: 20)")
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


@command(
    "run", "A run starts by itself when data changes; this asks for one more on the same data, for example after a "
    "failure or with other parameters. Needs --again or --set, because it starts paid jobs on AWS.",
    training="run --again",
)  # fmt: skip
@click.option("--again", is_flag=True, help="start a run on data that has been run already")
@set_option("chosen", metavar="NAME=VALUE", text="a parameter of the pipeline for this run, such as Epochs=3")
@click.argument("data_set", required=False, metavar="[DATA_SET]", help="the data set (default: that of the newest run)")
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
