"""Runs and model versions side by side: `headrace compare`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from botocore.exceptions import ClientError

from headrace.client import lines
from headrace.client.environment import Environment
from headrace.client.evaluation import Report, find_report, is_version
from headrace.client.executions import find_execution
from headrace.client.model_packages import Model, find_model
from headrace.client.runs import Run, read_run
from headrace.commands.command import command
from headrace.errors import HeadraceError, NotFound, UsageError, is_missing
from headrace.formats import duration, money, share, when
from headrace.terminal.output import Output

CODE = re.compile(r"/code/([0-9a-f]{8,64})/")
HASH_LENGTH = 12  # characters of a hash that are shown
OWN_PARAMETERS = {"DataSet", "Fingerprint"}  # shown as the data set
BEST = "*"


@dataclass(frozen=True, slots=True)
class Subject:
    """A run, or a version with the run that registered it; what is gone or was never there is None."""

    name: str
    run: Run | None
    model: Model | None
    report: Report | None
    code: tuple[str, ...]  # the hashes of the code archives
    definition: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Row:
    """One property of all subjects. `best` are the subjects that have the best figure."""

    kind: str  # data, code, parameter, figure or run
    name: str
    values: tuple[str, ...]
    best: frozenset[int] = frozenset()

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@command(
    "compare", "Compares parameters, data set, code and figures. Shows only what differs, and marks the best figure "
    "with *.", training="compare RUN_OR_VERSION RUN_OR_VERSION",
)  # fmt: skip
@click.argument(
    "names", nargs=-1, required=True, metavar="RUN|VERSION...",
    help="two or more: a run's id, ARN or name, or a version's number",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="also show what is the same")
def show_comparison(environment: Environment, output: Output, *, names: Sequence[str], every: bool) -> list[Row]:
    """The command."""
    if len(names) < 2:
        raise UsageError(
            f"there is only {names[0]} to compare", hint=environment.command(f"compare {names[0]} RUN_OR_VERSION")
        )
    subjects = [read_subject(environment, name) for name in names]
    rows = compare(subjects)
    shown = [row for row in rows if every or row.differs]
    cells = [
        [row.name, *(f"{value} {BEST}" if number in row.best else value for number, value in enumerate(row.values))]
        for row in shown
    ]
    output.table(("", *(subject.name for subject in subjects)), cells, as_data(subjects, shown))
    if not shown:
        output.note("they do not differ in parameters, data set, code or figures")
    elif not every:
        output.note(f"{len(rows) - len(shown)} of {len(rows)} properties are the same; --all shows them")
    if not comparable(subjects):
        output.warn("the accuracies are of different test sets, so none is marked as the best")
    return rows


def read_subject(environment: Environment, name: str) -> Subject:
    environment = lines.of_subject(environment, name, f"compare {name} RUN_OR_VERSION")
    model = find_model(environment, name) if is_version(environment, name) else None
    try:
        execution = find_execution(environment, model.run if model else name)
    except NotFound:
        if model is None:
            raise
        return Subject(f"version {model.version}", None, model, _report(environment, name), _codes(model, None), None)
    definition = _definition(environment, execution.arn)
    return Subject(
        name=f"version {model.version}" if model else f"run {execution.name}",
        run=read_run(environment, execution),
        model=model,
        report=_report(environment, name),
        code=_codes(model, definition),
        definition=definition,
    )


def compare(subjects: Sequence[Subject]) -> list[Row]:
    """What they were made of, then how they did."""
    now = datetime.now(UTC)
    rows = [
        _row("data", "data set", [_of_run(it, "DataSet") or (it.model and it.model.data_set) for it in subjects]),
        _row("data", "fingerprint", [_short(_of_run(it, "Fingerprint") or _fingerprint(it)) for it in subjects]),
        _row("code", "code", [", ".join(map(_short, it.code)) or None for it in subjects]),
    ]
    parameters = [_parameters(it) for it in subjects]
    for name in sorted({name for known in parameters for name in known}):
        rows.append(_row("parameter", name, [known.get(name) for known in parameters]))
    same_test = comparable(subjects)
    reports = [it.report for it in subjects]
    rows += [
        _figures("accuracy", [it.accuracy if it else None for it in reports], marked=same_test),
        _figures("macro F1", [it.macro_f1 if it else None for it in reports], marked=same_test),
        _figures("loss", [it.loss if it else None for it in reports], marked=same_test, best=min),
        _row("figure", "winner", [it and it.winner for it in reports]),
        _row("figure", "test images", [it and it.test_images for it in reports]),
        _row("figure", "classes", [str(len(it.confusion)) if it and it.confusion else None for it in reports]),
    ]
    for name in _classes(reports):
        recalls = [next((c.recall for c in it.classes if c.name == name), None) if it else None for it in reports]
        rows.append(_figures(f"recall of {name}", recalls, marked=same_test))
    runs = [it.run for it in subjects]
    costs = [it.cost if it else None for it in runs]
    rows += [
        _row("run", "status", [it and it.execution.status for it in runs]),
        _row("run", "started", [it and when(it.execution.started, now) for it in runs]),
        _row("run", "duration", [it and duration(it.seconds(now)) for it in runs]),
        _row("run", "cost", [None if cost is None else money(cost) for cost in costs], best=_best(costs, min)),
    ]
    return rows


def comparable(subjects: Sequence[Subject]) -> bool:
    """Accuracies are comparable only on one test set."""
    return len({it.report.test_set for it in subjects if it.report}) <= 1


def as_data(subjects: Sequence[Subject], rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "kind": row.kind,
            "name": row.name,
            "values": dict(zip([subject.name for subject in subjects], row.values, strict=True)),
            "best": sorted(subjects[number].name for number in row.best),
        }
        for row in rows
    ]


def _row(kind: str, name: str, values: Sequence[object], *, best: frozenset[int] = frozenset()) -> Row:
    return Row(kind, name, tuple("-" if value in (None, "") else str(value) for value in values), best)


def _figures(name: str, values: Sequence[float | None], *, marked: bool, best: Any = max) -> Row:
    return _row("figure", name, [share(value) for value in values], best=_best(values, best) if marked else frozenset())


def _best(values: Sequence[float | None], choose: Any) -> frozenset[int]:
    """None is marked where all have the same figure."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return frozenset()
    return frozenset(number for number, value in enumerate(values) if value == choose(known))


def _classes(reports: Sequence[Report | None]) -> list[str]:
    """All classes, in the order in which the reports name them."""
    return list(dict.fromkeys(name for report in reports if report for name in report.confusion))


def _parameters(subject: Subject) -> dict[str, str]:
    """As the run was given them, and for the others the default of the definition that it ran."""
    declared = (subject.definition or {}).get("Parameters", [])
    defaults = {item["Name"]: str(item["DefaultValue"]) for item in declared if "DefaultValue" in item}
    given = subject.run.parameters if subject.run else {}
    return {name: value for name, value in {**defaults, **given}.items() if name not in OWN_PARAMETERS}


def _of_run(subject: Subject, parameter: str) -> str | None:
    return subject.run.parameters.get(parameter) if subject.run else None


def _fingerprint(subject: Subject) -> str | None:
    return subject.model.fingerprint if subject.model else None


def _codes(model: Model | None, definition: dict[str, Any] | None) -> tuple[str, ...]:
    found = set(CODE.findall(json.dumps(definition))) if definition else set()
    return tuple(sorted(found)) or ((model.code,) if model and model.code else ())


def _short(text: str | None) -> str:
    return (text or "")[:HASH_LENGTH]


def _report(environment: Environment, name: str) -> Report | None:
    try:
        return find_report(environment, name)
    except NotFound:
        return None


def _definition(environment: Environment, execution_arn: str) -> dict[str, Any] | None:
    """The definition that this run ran; None if SageMaker no longer has it."""
    try:
        with environment.doing(f"reading the definition of run {execution_arn.rsplit('/', 1)[-1]}"):
            answer = environment.client("sagemaker").describe_pipeline_definition_for_execution(
                PipelineExecutionArn=execution_arn
            )
    except HeadraceError as error:
        if isinstance(error.__cause__, ClientError) and is_missing(error.__cause__):
            return None
        raise
    definition: dict[str, Any] = json.loads(answer["PipelineDefinition"])
    return definition
