"""Following one execution to its end, step by step: `headrace watch`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headrace.client.costs import JobCost, read_cost
from headrace.client.environment import Environment
from headrace.client.executions import (
    Execution,
    Step,
    find_execution,
    list_steps,
    name_of,
    refresh,
    wait_for_execution,
)
from headrace.client.new_lines import last_lines
from headrace.client.reasons import Reason, read_reason
from headrace.client.runs import Run, read_run
from headrace.client.time_limits import find_time_limit
from headrace.client.training_progress import Progress, TrainingWatch
from headrace.client.waiting import find_waiting
from headrace.commands.command import command
from headrace.commands.parameters import SECONDS, interval_option, moment
from headrace.commands.redrive import find_dead_letters
from headrace.commands.runs import warn_of_unpriced
from headrace.errors import Interrupted, NotFound, RunFailed
from headrace.formats import ago, clock, duration, money, share
from headrace.project.folder import read_target
from headrace.terminal.output import Output, status_style

LOG_LINES = 15
PROGRESS_SECONDS = 10.0  # between two lines of progress of one step where there is no terminal


@dataclass
class Look:
    """A run as it is at one moment."""

    execution: Execution
    steps: list[Step]
    costs: dict[str, JobCost]
    progress: dict[str, Progress]
    sources: dict[str, str]  # names of the runs that steps took their results from, by id


Show = Callable[[Look], None]


@command(
    "watch", "Shows each step with its duration, cache hits and what spot capacity saved, and of a training step the "
    "epoch, the metric and the time left. Ends with status 0 if the run succeeded, else 1 with the failed step's "
    "reason and the last lines of its log.", training="watch",
)  # fmt: skip
@click.argument(
    "name", required=False, metavar="[RUN]",
    help="its name, id or ARN (default: the one going on, else the next to start)",
)  # fmt: skip
@click.option(
    "--wait-for-start", type=SECONDS, metavar="SECONDS",
    help="how long to wait for a run to start (default: 120, or the environment's quiet_seconds and a minute, if that "
    "is more)",
)  # fmt: skip
@click.option(
    "--after", type=moment, metavar="TIME",
    help="also take a run that started at this time or later and has ended, like 2026-01-31T12:00:00Z (default: now)",
)  # fmt: skip
@click.option("--data-set", metavar="NAME", help="wait for a run on this data set, whatever else starts")
@interval_option(hidden=False)
def watch(
    environment: Environment,
    output: Output,
    *,
    name: str | None,
    after: datetime | None,
    wait_for_start: float | None,
    interval: float,
    data_set: str | None = None,
) -> Run:
    """The command: picks the execution, shows it until it ends, and ends as it ended.

    Raises:
        RunFailed: it did not succeed; the message holds the step's reason and its job's last log lines.
    """
    if wait_for_start is None:
        wait_for_start = max(120.0, read_target(environment.name).quiet_seconds + 60)
    execution = _pick(
        environment,
        output,
        name=name,
        after=after,
        wait_for_start=wait_for_start,
        interval=interval,
        data_set=data_set,
    )
    output.note(f"run {execution.name} of {execution.pipeline}, started {clock(execution.started)}")
    try:
        if output.progress.is_terminal:
            with Live(console=output.progress, refresh_per_second=4) as live:
                run = follow(environment, execution, lambda look: live.update(_picture(look)), interval=interval)
        else:
            run = follow(environment, execution, _Lines(output), interval=interval)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"watching stopped; the run {execution.name} goes on",
            hint=f"{environment.command(f'watch {execution.name}')}   # takes it up again",
        ) from error
    now = datetime.now(UTC)
    if output.as_json:
        output.json(run.as_data(now))
    else:
        output.line(_summary(run, now, local=environment.running is not None))
        if run.evaluation and run.evaluation.comparison:
            output.note(f"comparison: {run.evaluation.comparison}")
    warn_of_unpriced(environment, output, [run])
    if run.execution.status != "Succeeded":
        raise _failure(environment, run)
    output.next(environment.command("models"), "shows what this run registered")
    return run


def follow(environment: Environment, execution: Execution, show: Show, *, interval: float = 2.0) -> Run:
    """Asks every `interval` seconds, calls `show` with the steps, and returns the whole run once it has ended."""
    costs: dict[str, JobCost] = {}
    sources: dict[str, str] = {}
    training = TrainingWatch(environment)
    while True:
        # Status before steps: when it says "ended", the steps read after it are final.
        execution = refresh(environment, execution)
        steps = list_steps(environment, execution)
        for step in steps:
            if step.ended and step.name not in costs:
                cost = read_cost(environment, step)
                if cost:
                    costs[step.name] = cost
            if step.cached_from and step.cached_from not in sources:
                sources[step.cached_from] = name_of(environment, step.cached_from)
        show(Look(execution, steps, costs, training.look(execution, steps), sources))
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
    data_set: str | None,
) -> Execution:
    if name is not None:
        return find_execution(environment, name)
    began = datetime.now(UTC)
    since = after or began

    def waiting(newest: Execution | None) -> None:
        last = f"none of {data_set} since" if data_set else "there are no runs yet"
        if newest:
            last = f"the newest, {newest.name}, started {ago(newest.started, datetime.now(UTC))}: {newest.status}"
        output.note(f"waiting up to {wait_for_start:.0f} s for a run to start ({last})")

    try:
        return wait_for_execution(
            environment, after=since, seconds=wait_for_start, data_set=data_set, interval=interval, waiting=waiting
        )
    except NotFound as error:
        # Without a time, what an upload that has just ended can have left; never another day's reason.
        recent = after or began - timedelta(seconds=read_target(environment.name).quiet_seconds + 60)
        letters = find_dead_letters(environment, since=recent, data_set=data_set)
        if letters:
            newest = letters[-1]
            of = f" of {', '.join(sorted(newest.data_sets))}" if newest.data_sets else ""
            when = ago(newest.sent, datetime.now(UTC))
            reason = read_reason(newest.reason)
            raise NotFound(
                f"no run started; a message{of} was dead-lettered ({when}): {reason.text}"
                + (f"\nits own hint: {reason.hint}" if reason.hint else ""),
                hint=f"{environment.command('redrive --list')}   # shows it all; then redrive, after what failed is "
                "right",
            ) from error
        waits = [it for it in find_waiting(environment) if data_set in (None, it.data_set)]
        if waits:
            raise NotFound(
                "no run started yet; " + "; ".join(it.words(datetime.now(UTC)) for it in waits),
                hint=f"{environment.command('runs')}   # shows those under way; it is started when one has ended",
            ) from error
        raise
    except KeyboardInterrupt as error:
        raise Interrupted("no run had started yet", hint=environment.command("runs")) from error


class _Lines:
    """For a pipe or a log file: one line whenever a step's status changes, and now and then how far a training is."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: dict[str, str] = {}
        self._progress: dict[str, tuple[float, int]] = {}  # when a step's progress was shown last, and which epoch

    def __call__(self, look: Look) -> None:
        now = datetime.now(UTC)
        for step in look.steps:
            state = f"{step.status}/{step.attempt}"
            if self._told.get(step.name) != state:
                self._told[step.name] = state
                took = duration(step.seconds(now)) if step.ended else ""
                words = [f"{now.astimezone():%H:%M:%S}", step.name, step.status, took, _detail(step, look)]
                self._output.note("  ".join(word for word in words if word))
            elif step.name in look.progress:
                self._show_progress(step, look.progress[step.name], now)

    def _show_progress(self, step: Step, progress: Progress, now: datetime) -> None:
        shown, epoch = self._progress.get(step.name, (float("-inf"), 0))
        words = progress.words(now)
        if words and progress.epoch != epoch and time.monotonic() - shown >= PROGRESS_SECONDS:
            self._progress[step.name] = time.monotonic(), progress.epoch
            self._output.note(f"{now.astimezone():%H:%M:%S}  {step.name}  {words}")


def _picture(look: Look) -> Table:
    now = datetime.now(UTC)
    execution = look.execution
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("step", "status", "duration", "detail"):
        table.add_column(column, overflow="fold")
    for step in look.steps:
        status = Text(step.status, style=status_style(step.status))
        table.add_row(step.name, status, duration(step.seconds(now)), _detail(step, look))
    seconds = (now - execution.started).total_seconds() if execution.going_on else None
    table.add_row("", "", "", "")
    table.add_row("run", Text(execution.status, style=status_style(execution.status)), duration(seconds), "")
    return table


def _detail(step: Step, look: Look) -> str:
    """Without the reason of a failure: that is shown once, when the run has ended."""
    if step.cached_from:
        return f"cached: the result of run {look.sources.get(step.cached_from, step.cached_from)}"
    words = []
    if step.attempt > 1:
        words.append(f"attempt {step.attempt}")
    if step.outcome:
        words.append(f"the condition is {step.outcome}")
    if "Change" in step.outputs:  # of ExplainChange: what the run changes against the champion
        words.append(step.outputs["Change"])
    if step.name in look.progress:
        words.append(look.progress[step.name].words(datetime.now(UTC)))
    if step.name in look.costs:
        words.append(str(look.costs[step.name]))
    return "; ".join(word for word in words if word)


def _summary(run: Run, now: datetime, *, local: bool) -> str:
    words = [f"{run.execution.name} {run.execution.status} after {duration(run.seconds(now))}"]
    if run.evaluation and run.evaluation.accuracy is not None:
        by = f" ({run.evaluation.winner} won)" if run.evaluation.winner else ""
        words.append(f"accuracy {share(run.evaluation.accuracy)}{by}")
    if run.saving is not None:
        words.append(f"spot saved {run.saving:.0%} of its training time")
    at_most = "" if run.estimated_cost is None else f" of at most {money(run.estimated_cost)}"
    words.append(f"{'on AWS it would have cost' if local else 'it cost'} {money(run.cost)}{at_most}")
    return ", ".join(words)


def _failure(environment: Environment, run: Run) -> RunFailed:
    """Each failed step with its reason, once; the log of the first one that ran a job."""
    execution, failed = run.execution, [step for step in run.steps if step.status == "Failed"]
    if not failed:
        message = f"the run {execution.name} is {execution.status}: {execution.reason or 'no step failed'}"
        return RunFailed(message, hint=environment.command("runs --limit 5"))
    reasons = {step.name: _reason(environment, step) for step in failed}
    parts = [f"step {step.name} of run {execution.name} failed: {reasons[step.name].full()}" for step in failed]
    parts += list(dict.fromkeys(f"its own hint: {reason.hint}" for reason in reasons.values() if reason.hint))
    step = next((step for step in failed if step.job), None)
    if step is None:
        return RunFailed("\n".join(parts), hint=environment.command("runs --limit 5"))
    try:
        lines = last_lines(environment, execution, step, LOG_LINES)
    except NotFound as missing:
        lines = [f"({missing})"]
    log = [f"  {line}" for line in lines if not _repeats(line, reasons[step.name])]
    if log:
        parts.append("\n".join(["", f"last lines of the log of {step.name}:", *log]))
    command = environment.command(f"logs {execution.name} {step.name}")
    return RunFailed("\n".join(parts), hint=f"{command}   # the whole log")


def _reason(environment: Environment, step: Step) -> Reason:
    limit = find_time_limit(environment, step)
    return limit.reason() if limit else read_reason(step.reason)


def _repeats(line: str, reason: Reason) -> bool:
    """Whether a line of the log says what the reason has said: the end of a traceback, mostly."""
    said = line.strip()
    if len(said) < 8:
        return False
    parts = [part for part in (*reason.text.splitlines(), reason.hint or "") if len(part) > 15]
    return said in f"{reason.text}\nhint: {reason.hint}" or any(part in said for part in parts)
