"""What the jobs and functions of a run wrote: `headrace logs`, `headrace logs --follow`."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from headrace.client.environment import Environment
from headrace.client.executions import Execution, Step, find_execution, list_steps, name_of, refresh
from headrace.client.log_events import Line, read_lines
from headrace.client.new_lines import NewLines, _last
from headrace.commands.command import command
from headrace.commands.parameters import COUNT
from headrace.errors import Interrupted, NotFound
from headrace.formats import iso
from headrace.terminal.output import Output

INTERVAL = 2.0  # seconds between two looks at what is new


@command(
    "logs", "Of one step, or of every step that ran a job. `headrace logs STEP` is that step of the newest run.",
    training="logs",
)  # fmt: skip
@click.argument("name", required=False, metavar="[RUN]", help="its name, id or ARN (default: the newest)")
@click.argument("step_name", required=False, metavar="[STEP]", help="the step's name, e.g. Preprocess (default: all)")
@click.option("--tail", type=COUNT, metavar="N", help="only the last N lines of each step")
@click.option("--follow", "-f", is_flag=True, help="print new lines as they come, until the run ends")
def show_logs(
    environment: Environment,
    output: Output,
    *,
    name: str | None,
    step_name: str | None,
    tail: int | None,
    follow: bool = False,
) -> None:
    """The command: one step's log, or those of all steps that ran a job; live with `follow`."""
    execution, step_name = _find(environment, name, step_name)
    if follow:
        _follow(environment, output, execution, step_name, tail=tail)
        return
    steps = list_steps(environment, execution)
    if step_name is not None:
        chosen = [_step_named(environment, execution, steps, step_name)]
    else:
        chosen = [step for step in steps if step.job and not step.cached_from]
    if not chosen:
        raise NotFound(
            f"no step of run {execution.name} has run a job",
            hint=environment.command(f"watch {execution.name}"),
        )
    data: list[dict[str, Any]] = []
    for step in chosen:
        try:
            lines = _last(read_lines(environment, execution, step), tail)
        except NotFound as missing:
            if step_name is not None:
                raise
            output.note(f"== {step.name}: {missing}")
            continue
        if len(chosen) > 1:
            output.note(f"== {step.name} ({step.status}), {step.job}")
        if output.as_json:
            data.extend(_data(step, line) for line in lines)
            continue
        several = len({line.stream for line in lines}) > 1
        for line in lines:
            output.line(f"[{line.stream.rsplit('/', 1)[-1]}] {line.text}" if several else line.text)
    if output.as_json:
        output.json(data)


def _follow(
    environment: Environment,
    output: Output,
    execution: Execution,
    step_name: str | None,
    *,
    tail: int | None,
) -> None:
    """Prints what is new, until the run (or the one step) has ended.

    Each line begins with its step's name, unless one step was asked for; with --json each is an object on its own line.
    """
    output.note(f"following the run {execution.name}, {execution.status}; it ends with the run")
    sources: dict[str, NewLines] = {}
    try:
        while True:
            execution = refresh(environment, execution)
            steps = list_steps(environment, execution)
            if step_name is not None:
                steps = _named_or_none(environment, execution, steps, step_name)
            for step in steps:
                if step.job and not step.cached_from:
                    source = sources.setdefault(step.name, NewLines(tail))
                    for line in source.read(environment, execution, step):
                        output.line(_followed(step, line, output, alone=step_name is not None))
            if not execution.going_on or (step_name is not None and steps and steps[0].ended):
                break
            time.sleep(INTERVAL)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"stopped following; the run {execution.name} goes on",
            hint=environment.command(f"logs {execution.name} --follow"),
        ) from error
    output.note(f"the run {execution.name} is {execution.status}")
    if step_name is None and not sources:
        output.note("no step of it has run a job")
    output.next(environment.command(f"watch {execution.name}"))


def _named_or_none(environment: Environment, execution: Execution, steps: list[Step], name: str) -> list[Step]:
    """The step of that name; none while it may still start."""
    if execution.going_on and all(step.name != name for step in steps):
        return []
    return [_step_named(environment, execution, steps, name)]


def _followed(step: Step, line: Line, output: Output, *, alone: bool) -> str:
    if output.as_json:
        return json.dumps(_data(step, line), ensure_ascii=False)
    return line.text if alone else f"{step.name}: {line.text}"


def _data(step: Step, line: Line) -> dict[str, Any]:
    return {"step": step.name, "stream": line.stream, "time": iso(line.moment), "message": line.text}


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
            f"run {execution.name} has no step {name!r} (its steps so far: {known})",
            hint=environment.command(f"logs {execution.name}"),
        )
    if found.cached_from:
        source = name_of(environment, found.cached_from)
        raise NotFound(
            f"step {name} of run {execution.name} was cached: it took the result of run {source}",
            hint=environment.command(f"logs {source} {name}"),
        )
    return found
