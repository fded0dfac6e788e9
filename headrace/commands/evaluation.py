"""The figures of one evaluation as a person reads them: `headrace evaluation`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from headrace.client import lines
from headrace.client.environment import Environment
from headrace.client.evaluation import Report, find_report
from headrace.commands.command import command
from headrace.commands.parameters import FILE
from headrace.errors import UsageError
from headrace.formats import counted, share
from headrace.terminal.output import Output

MAX_CLASSES = 20  # up to here every class and the whole matrix are shown without --all
MAX_LABEL = 12  # characters of a class in the matrix


@command(
    "evaluation", "With precision, recall and F1 of each class and the confusion matrix. With more than 20 classes "
    "it shows the worst classes and the most frequent confusions. --json prints the whole report.",
    training="evaluation",
)  # fmt: skip
@click.argument(
    "name", required=False, metavar="[RUN|VERSION]",
    help="a run's id, ARN or name, a version's number, or latest for the newest version (default: the newest run "
    "that was evaluated)",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="show every class and the whole matrix")
@click.option("--csv", "csv_file", type=FILE, metavar="FILE", help="write the confusion matrix to FILE as CSV")
def show_evaluation(
    environment: Environment, output: Output, *, name: str | None, every: bool, csv_file: Path | None
) -> Report:
    """The command."""
    environment = lines.of_subject(environment, name, f"evaluation {name}")
    report = find_report(environment, name)
    if csv_file is not None:
        _write_matrix(report, csv_file)
        output.note(f"the confusion matrix is in {csv_file}: rows are actual classes, columns are predicted ones")
    if output.as_json:
        output.json({"subject": report.subject, **report.content})
        return report
    output.facts(_facts(report), {})
    if not report.confusion:
        output.warn("the report has no confusion matrix, so there are no figures of classes")
        return report
    shown_whole = every or len(report.confusion) <= MAX_CLASSES
    _show_classes(output, report, whole=shown_whole)
    if shown_whole:
        _show_matrix(output, report)
    else:
        output.note(f"the {MAX_CLASSES} worst of {counted(len(report.confusion), 'class')} are shown; --all shows all")
    _show_confusions(output, report)
    subject = report.subject.split()[-1]
    output.next(environment.command(f"evaluation {subject} --csv confusion.csv"), "the whole matrix as a table")
    return report


def _facts(report: Report) -> dict[str, str]:
    facts = {"evaluation of": report.subject, "accuracy": share(report.accuracy)}
    if report.test_images is not None:
        facts["accuracy"] += f" on {counted(report.test_images, 'test image')}"
    if report.macro_f1 is not None:
        facts["macro F1"] = share(report.macro_f1)
    for name, accuracy in report.candidates.items():
        facts[f"candidate {name}"] = f"accuracy {share(accuracy)}" + ("  <- winner" if name == report.winner else "")
    if report.champion_accuracy is not None:
        better = "" if report.improvement is None else f", improvement {report.improvement:+.4f}"
        facts["champion"] = f"accuracy {share(report.champion_accuracy)}{better}"
    if report.comparison is not None:
        facts["comparison"] = report.comparison
    return facts


def _show_classes(output: Output, report: Report, *, whole: bool) -> None:
    classes = report.classes if whole else sorted(report.classes, key=lambda figures: figures.f1)[:MAX_CLASSES]
    output.line("")
    rows = [
        [it.name, str(it.images), share(it.precision), share(it.recall), share(it.f1)] for it in classes
    ]  # fmt: skip
    output.table(("class", "images", "precision", "recall", "F1"), rows, None)


def _show_matrix(output: Output, report: Report) -> None:
    """Rows are actual classes, columns predicted ones; a zero off the diagonal is a dot, so that errors stand out."""
    names = list(report.confusion)
    labels = _labels(names)
    rows = []
    for number, actual in enumerate(names):
        row = report.confusion[actual]
        cells = [str(row.get(name, 0)) if row.get(name) or name == actual else "." for name in names]
        rows.append([labels[number], *cells])
    output.line("")
    output.table(("actual \\ predicted", *labels), rows, None)


def _labels(names: Sequence[str]) -> list[str]:
    """Shortened class names; with their number in front where shortening makes two equal."""
    short = [name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1]}…" for name in names]
    if len(set(short)) == len(short):
        return short
    return [f"{number}:{label}" for number, label in enumerate(short, start=1)]


def _show_confusions(output: Output, report: Report) -> None:
    confusions = report.confusions[:10]
    output.line("")
    if not confusions:
        output.line("no test image was taken for another class")
        return
    rows = [[it.actual, it.predicted, str(it.images), f"{it.share:.0%}"] for it in confusions]
    output.table(("actual", "taken for", "images", "share"), rows, None)


def _write_matrix(report: Report, file: Path) -> None:
    names = list(report.confusion)
    try:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["actual \\ predicted", *names])
            writer.writerows(
                [actual, *(row.get(name, 0) for name in names)] for actual, row in report.confusion.items()
            )
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}", hint=f"ls -ld {file.parent}") from error
