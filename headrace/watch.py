"""Following one execution to its end, step by step: `headrace watch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace.costs import JobCost, read_cost
from headrace.environment import Environment
from headrace.errors import Interrupted, NotFound, RunFailed
from headrace.executions import (
    Execution,
    Step,
    find_execution,
    list_steps,
    read_execution,
    wait_for_execution,
)
from headrace.logs import last_lines
from headrace.output import Output, status_style
from headrace.project import read_target
from headrace.redrive import set_aside
from headrace.runs import Run, read_run, warn_of_unpriced
from headrace.wording import ago, clock, duration, money, share

LOG_LINES = 15

Show = Callable[[Execution, list[Step], dict[str, JobCost]], None]


def watch(
    environment: Environment,
    output: Output,
    *,
    name: str | None,
    after: datetime | None,
    wait_for_start: float | None,
    interval: float,
) -> Run:
    """The command: picks the execution, shows it until it ends, and ends as it ended.

    Raises:
        RunFailed: it did not succeed; the message holds the step's reason and its job's last log lines.
    """
    if wait_for_start is None:
        wait_for_start = max(120.0, read_target(environment.name).quiet_seconds + 60)
    execution = _pick(environment, output, name=name, after=after, wait_for_start=wait_for_start, interval=interval)
    output.note(f"run {execution.id} of {environment.stack.pipeline}, started {clock(execution.started)}")
    try:
        if output.progress.is_terminal:
            with Live(console=output.progress, refresh_per_second=4) as live:
                run = follow(environment, execution, lambda *now: live.update(_picture(*now)), interval=interval)
        else:
            run = follow(environment, execution, _Lines(output), interval=interval)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"watching stopped; the run {execution.id} goes on",
            hint=f"{environment.command(f'watch {execution.id}')}   # takes it up again",
        ) from error
    now = datetime.now(UTC)
    if output.as_json:
        output.json(run.as_data(now))
    else:
        output.line(_summary(run, now, local=environment.running is not None))
    warn_of_unpriced(environment, output, [run])
    if run.execution.status != "Succeeded":
        raise _failure(environment, run)
    output.next(environment.command("models"), "shows what this run registered")
    return run


def follow(environment: Environment, execution: Execution, show: Show, *, interval: float = 2.0) -> Run:
    """Asks every `interval` seconds, tells `show` what there is, and gives the whole run once it has ended."""
    costs: dict[str, JobCost] = {}
    while True:
        # Status before steps: when it says "ended", the steps read after it are final.
        execution = read_execution(environment, execution.arn)
        steps = list_steps(environment, execution)
        for step in steps:
            if step.ended and step.name not in costs:
                cost = read_cost(environment, step)
                if cost:
                    costs[step.name] = cost
        show(execution, steps, costs)
        if not execution.going_on:
            return read_run(environment, execution)
        time.sleep(interval)


def _pick(
    environment: Environment,
    output: Output,
    *,
    name: str | None,
    after: datetime | None,
    wait_for_start: float,
    interval: float,
) -> Execution:
    if name is not None:
        return find_execution(environment, name)
    since = after or datetime.now(UTC)

    def waiting(newest: Execution | None) -> None:
        last = "there are no runs yet"
        if newest:
            last = f"the newest, {newest.id}, started {ago(newest.started, datetime.now(UTC))}: {newest.status}"
        output.note(f"waiting up to {wait_for_start:.0f} s for a run to start ({last})")

    try:
        return wait_for_execution(environment, after=since, seconds=wait_for_start, interval=interval, waiting=waiting)
    except NotFound as error:
        if reasons := set_aside(environment):
            hint = f"{environment.command('redrive --list')}   # shows it all; then redrive, after what failed is right"
            raise NotFound(f"no run started; this was set aside: {reasons[-1]}", hint=hint) from error
        raise
    except KeyboardInterrupt as error:
        raise Interrupted("no run had started yet", hint=environment.command("runs")) from error


class _Lines:
    """For a pipe or a log file: one line whenever a step's status changes."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: dict[str, str] = {}

    def __call__(self, execution: Execution, steps: list[Step], costs: dict[str, JobCost]) -> None:
        now = datetime.now(UTC)
        for step in steps:
            state = f"{step.status}/{step.attempt}"
            if self._told.get(step.name) != state:
                self._told[step.name] = state
                took = duration(step.seconds(now)) if step.ended else ""
                words = [f"{now.astimezone():%H:%M:%S}", step.name, step.status, took, _detail(step, costs)]
                self._output.note("  ".join(word for word in words if word))


def _picture(execution: Execution, steps: list[Step], costs: dict[str, JobCost]) -> Table:
    now = datetime.now(UTC)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("step", "status", "duration", "detail"):
        table.add_column(column, overflow="fold")
    for step in steps:
        status = Text(step.status, style=status_style(step.status))
        table.add_row(step.name, status, duration(step.seconds(now)), _detail(step, costs))
    seconds = (now - execution.started).total_seconds() if execution.going_on else None
    table.add_row("", "", "", "")
    table.add_row("run", Text(execution.status, style=status_style(execution.status)), duration(seconds), "")
    return table


def _detail(step: Step, costs: dict[str, JobCost]) -> str:
    if step.cached_from:
        return f"cached: the result of run {step.cached_from}"
    words = []
    if step.attempt > 1:
        words.append(f"attempt {step.attempt}")
    if step.outcome:
        words.append(f"the condition is {step.outcome}")
    if step.name in costs:
        words.append(str(costs[step.name]))
    if step.reason:
        words.append(" ".join(step.reason.split()))
    return "; ".join(words)


def _summary(run: Run, now: datetime, *, local: bool) -> str:
    words = [f"{run.execution.id} {run.execution.status} after {duration(run.seconds(now))}"]
    if run.evaluation and run.evaluation.accuracy is not None:
        by = f" ({run.evaluation.winner} won)" if run.evaluation.winner else ""
        words.append(f"accuracy {share(run.evaluation.accuracy)}{by}")
    if run.saving is not None:
        words.append(f"spot saved {run.saving:.0%} of its training time")
    at_most = "" if run.estimated_cost is None else f" of at most {money(run.estimated_cost)}"
    words.append(f"{'on AWS it would have cost' if local else 'it cost'} {money(run.cost)}{at_most}")
    return ", ".join(words)


def _failure(environment: Environment, run: Run) -> RunFailed:
    execution, step = run.execution, run.failed_step
    if step is None:
        message = f"the run {execution.id} is {execution.status}: {execution.reason or 'no step failed'}"
        return RunFailed(message, hint=environment.command("runs --limit 5"))
    message = f"step {step.name} of run {execution.id} failed: {step.reason or 'no reason given'}"
    if step.job is None:
        return RunFailed(message, hint=environment.command("runs --limit 5"))
    try:
        lines = last_lines(environment, step, LOG_LINES)
    except NotFound as missing:
        lines = [f"({missing})"]
    log = "\n".join(f"  {line}" for line in lines)
    return RunFailed(
        f"{message}\n\nlast lines of its log:\n{log}",
        hint=f"{environment.command(f'logs {execution.id} {step.name}')}   # the whole log",
    )
