"""`headrace inspect`: what would be learned from a data set, before it is sent or as it lies in the data bucket."""

from __future__ import annotations

from pathlib import Path

import click

from data_sets.reading import Reading
from data_sets.report import as_data, report
from data_sets.wording import refusal
from headrace.client import lines
from headrace.client.data_set import read_data_set
from headrace.client.environment import Environment
from headrace.client.stored_data_sets import _in_bucket
from headrace.commands.command import Call, command
from headrace.errors import UsageError
from headrace.project.folder import read_target
from headrace.terminal.output import Output

FOLDER_NAME = "folder"


@command(
    "inspect", "Layout, classes with the images of each split, what is left out and why, and what is odd or would be "
    "refused. Nothing is sent. Ends with status 0 if preprocessing would take it.", opens=False,
)  # fmt: skip
@click.argument("target", metavar="PATH|DATA_SET", help="a folder, an archive, or a data set in the bucket")
def inspect(call: Call, *, target: str) -> None:
    if Path(target).expanduser().exists():
        inspect_here(call.env, call.output, target=target)
    else:
        inspect_stored(call.open(), call.output, target=target)


def inspect_here(environment: str, output: Output, *, target: str) -> None:
    """`target` is a folder or an archive on this machine. Raises UsageError for what preprocessing would refuse."""
    path = Path(target).expanduser()
    name = FOLDER_NAME if path.is_dir() else None  # it is not sent, so its own name need not be a data set's
    limit = read_target(environment).skipped_share_of(None)
    reading = read_data_set(path, name, max_skipped_share=limit).reading
    assert reading is not None, "it is read unless that is refused"
    _tell(output, reading, target)


def inspect_stored(environment: Environment, output: Output, *, target: str) -> None:
    """`target` is a data set in the data bucket.

    Raises:
        UsageError: preprocessing would refuse it; all reasons are named.
        NotFound: there is no such data set.
    """
    name = target.rstrip("/").removeprefix("datasets/")
    limit = read_target(environment.name).skipped_share_of(lines.of_data_set(environment, name).line)
    _tell(output, _in_bucket(environment, name, limit), target)


def _tell(output: Output, reading: Reading, target: str) -> None:
    if output.as_json:
        output.json(as_data(reading))
    else:
        for line in report(reading):
            output.line(line)
        for warning in reading.warnings:
            output.warn(warning)
    refuse(reading, target)


def show(output: Output, reading: Reading) -> None:
    """The report, apart from a command's data, and what is odd."""
    for line in report(reading):
        output.note(line)
    for warning in reading.warnings:
        output.warn(warning)


def refuse(reading: Reading, what: object) -> None:
    if reading.problems:
        refused = refusal(reading.problems)
        raise UsageError(f"{what} cannot be learned from: {refused.message}", hint=refused.hint)
