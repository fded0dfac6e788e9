"""Stopping a run: `headrace stop`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from headrace.client.environment import Environment
from headrace.client.executions import Execution, find_execution, list_executions, list_steps, read_execution
from headrace.client.runs import Run, read_run
from headrace.commands.command import command
from headrace.commands.parameters import interval_option
from headrace.commands.runs import warn_of_unpriced
from headrace.errors import Interrupted, NotFound, UsageError
from headrace.formats import duration, money
from headrace.terminal.output import Output


@dataclass(frozen=True, slots=True)
class Stopped:
    """A run for which StopPipelineExecution was called, and the names of the steps that were executing then."""

    run: Run
    steps: tuple[str, ...]


@command(
    "stop", "Stops its jobs, waits until it has ended, and says which steps were stopped and what was billed. "
    "`headrace run --again` starts another one on the same data.", training="stop",
)  # fmt: skip
@click.argument("name", required=False, metavar="[RUN]", help="its id, ARN or name (default: the one going on)")
@click.option("--wait/--no-wait", default=True, help="wait until it has ended (default: yes)")
@interval_option()
def stop(environment: Environment, output: Output, *, name: str | None, wait: bool, interval: float) -> Stopped:
    """The command."""
    execution = find_running(environment, name)

    def show(steps: tuple[str, ...]) -> None:
        during = f" during {', '.join(steps)}" if steps else ""
        output.note(f"stopping run {execution.name} of {execution.pipeline}{during}")

    try:
        stopped = stop_execution(environment, execution, wait=wait, interval=interval, before=show)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"waiting stopped; the run {execution.name} still stops",
            hint=environment.command(f"watch {execution.name}"),
        ) from error
    now, run = datetime.now(UTC), stopped.run
    if output.as_json:
        output.json({**run.as_data(now), "stopped_steps": list(stopped.steps)})
    else:
        for line in lines(run, now, local=environment.running is not None):
            output.line(line)
    warn_of_unpriced(environment, output, [run])
    if run.execution.going_on:
        output.next(environment.command(f"watch {execution.name}"), "until it has ended")
    else:
        output.next(environment.command("run --again"), "starts another run on the same data")
    return stopped


def find_running(environment: Environment, name: str | None) -> Execution:
    """The run of that name, or the only one that is going on.

    Raises:
        NotFound: there is no such run, it has ended, or none is going on.
        UsageError: several are going on, and none is named.
    """
    if name is None:
        going_on = [execution for execution in list_executions(environment) if execution.going_on]
        if len(going_on) > 1:
            raise UsageError(
                f"{len(going_on)} runs are going on: {', '.join(execution.name for execution in going_on)}",
                hint=environment.command(f"stop {going_on[0].id}"),
            )
        if not going_on:
            raise NotFound("no run is going on, so there is nothing to stop", hint=environment.command("runs"))
        return going_on[0]
    execution = find_execution(environment, name)
    if not execution.going_on:
        raise NotFound(
            f"the run {execution.name} is {execution.status} already, so there is nothing to stop",
            hint=environment.command("runs"),
        )
    return execution


def stop_execution(
    environment: Environment,
    execution: Execution,
    *,
    wait: bool = True,
    interval: float = 2.0,
    before: Callable[[tuple[str, ...]], None] = lambda steps: None,
) -> Stopped:
    """Stops it and, with `wait`, returns once it has ended; `before` is called with the steps that are executing."""
    executing = tuple(step.name for step in list_steps(environment, execution) if step.status == "Executing")
    before(executing)
    with environment.doing(f"stopping the run {execution.name}"):
        environment.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=execution.arn)
    while (now := read_execution(environment, execution.arn)).going_on and wait:
        time.sleep(interval)
    return Stopped(read_run(environment, now), executing)


def lines(run: Run, now: datetime, *, local: bool) -> list[str]:
    """What became of each step, and what the run cost."""
    costs = {cost.step: cost for cost in run.costs}
    found = []
    for step in run.steps:
        words = [f"{step.name} {step.status}"]
        if step.ended:
            words.append(f"after {duration(step.seconds(now))}")
        if step.cached_from:
            words.append("cached")
        if step.name in costs:
            words.append(f"{costs[step.name]}, {money(costs[step.name].usd)}")
        found.append("  ".join(words))
    billed = sum(cost.billable_seconds for cost in run.costs)
    where = "on AWS it would have cost" if local else "it cost"
    found.append(
        f"run {run.execution.name} {run.execution.status}: billed {duration(billed)}, {where} {money(run.cost)}"
    )
    return found
