"""`headrace --env NAME init`: asks what an environment on AWS needs, and writes it into environments.toml.

Questions are asked on a terminal only. Elsewhere, account and region are options that have to be given, unless the file
has them; what else is not given stays as it is in the file, or gets its default.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from environments.names import ACCOUNT, NAME, REGION
from environments.settings import CAPACITIES, NETWORK_ACCESS
from headrace.client.data_set import read_data_set
from headrace.commands.command import Call, command
from headrace.commands.inspection import FOLDER_NAME, refuse, show
from headrace.errors import SetupError, UsageError
from headrace.project.folder import LOCAL, PROJECTS, find_root
from headrace.project.settings import FILE
from headrace.project.toml_edit import set_values
from headrace.terminal.output import Output


@dataclass(frozen=True, slots=True)
class Question:
    """`table` is below the environment's own, empty for that itself. `default` is used where the file has no value."""

    option: str
    table: str
    key: str
    text: str
    form: str
    example: str
    default: str | None
    fits: Callable[[str], object]


QUESTIONS = (
    Question("account", "", "account", "AWS account number", "12 digits", "123456789012", None, ACCOUNT.fullmatch),
    Question(
        "region", "", "region", "AWS region", "a region such as eu-central-1", "eu-central-1", None, REGION.fullmatch
    ),
    Question(
        "capacity",
        "pipeline",
        "capacity",
        "Train on spot capacity (cheaper, may be interrupted), on-demand, or both (twice, to compare)",
        " or ".join(CAPACITIES),
        "spot",
        "spot",
        CAPACITIES.__contains__,
    ),
    Question(
        "network",
        "",
        "network_access",
        "Run jobs and endpoint in an isolated VPC (docs/network.md), or with public access",
        " or ".join(NETWORK_ACCESS),
        "public",
        "public",
        NETWORK_ACCESS.__contains__,
    ),
)


@command(
    "init", "Asks for account, region, capacity and network of the environment that --env names, and keeps "
    "everything else in the file. Without a terminal, what is missing has to be given as options.",
    takes_project=False, opens=False,
)  # fmt: skip
@click.option("--account", metavar="NUMBER", help="the AWS account, 12 digits")
@click.option("--region", metavar="REGION", help="the AWS region, such as eu-central-1")
@click.option("--capacity", metavar="CAPACITY", help="spot, on-demand or both")
@click.option("--network", metavar="ACCESS", help="public or vpc")
@click.option("--data", metavar="PATH", help="a folder or an archive, which is inspected first")
def init(call: Call, *, data: str | None, **given: str | None) -> None:
    """`given` has the options by name, None for those that were left out.

    Raises:
        UsageError: the name or an answer does not fit, an answer is missing, or the data set would be refused.
        SetupError: there is no environments.toml here, it cannot be read, or it has a form that cannot be changed.
    """
    name, output = call.env, call.output
    _require_environment(name)
    path = _file()
    table = _table(path, name)
    values = _answers(name, table, given, _asker(output) if sys.stdin.isatty() else None)
    if data is not None:
        _inspect(output, data)
    own = {question.key: value for question, value in values if not question.table}
    pipeline = {question.key: value for question, value in values if question.table}
    set_values(path, {name: own, f"{name}.pipeline": pipeline})
    written = {question.option: value for question, value in values}
    output.facts(written, {"environment": name, **written})
    output.note(f"written as [{name}] into {FILE}")
    if written["network"] == "vpc":
        output.note("put the wheels of training/requirements.txt into training/wheels/ (docs/how-to.md)")
    output.next("make check" + (f" DATA={data}" if data else ""), "checks settings, prices, training code and data")


def _require_environment(name: str) -> None:
    if name == LOCAL:
        raise UsageError(
            "the environment local needs no account: it is on this machine", hint="headrace --env dev init"
        )
    if name == PROJECTS or not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid name of an environment",
            hint="use at most 20 small letters, digits and hyphens: headrace --env dev init",
        )


def _file() -> Path:
    root = find_root()
    if root is None or not (root / FILE).is_file():
        raise SetupError(f"there is no {FILE} beside a cdk.json from {Path.cwd()} upwards", hint="cd into the project")
    return root / FILE


def _table(path: Path, name: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8")).get(name, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} is not valid TOML: {error}", hint=f"git diff {path} shows what changed") from error
    if not isinstance(table, dict) or not isinstance(table.get("pipeline", {}), dict):
        raise SetupError(f"{path}: {name} or its pipeline is not a table", hint=f"write [{name}] and [{name}.pipeline]")
    if "promotes_from" in table:
        raise UsageError(
            f"[{name}] promotes the models of {table['promotes_from']}, and has neither capacity nor network",
            hint=f"change account and region of [{name}] in {FILE} by hand",
        )
    return table


def _answers(
    name: str, table: dict[str, Any], given: dict[str, str | None], ask: Callable[[Question, str | None], str] | None
) -> Sequence[tuple[Question, str]]:
    found, missing = [], []
    for question in QUESTIONS:
        stored = (table.get(question.table, {}) if question.table else table).get(question.key, question.default)
        value = given[question.option]
        if value is not None:
            if not question.fits(value):
                raise UsageError(
                    f"--{question.option} is {value!r}, not {question.form}",
                    hint=f"headrace --env {name} init --{question.option} {question.example}",
                )
        elif ask is not None:
            value = ask(question, stored)
        else:
            value = stored
        if value is None:
            missing.append(question)
        else:
            found.append((question, value))
    if missing:
        options = " ".join(f"--{question.option} {question.option.upper()}" for question in missing)
        raise UsageError(
            f"init cannot ask without a terminal; [{name}] lacks {' and '.join(it.option for it in missing)}",
            hint=f"headrace --env {name} init {options}",
        )
    return found


def _asker(output: Output) -> Callable[[Question, str | None], str]:
    def answer(question: Question, stored: str | None) -> str:
        """Asks until the answer fits. An empty answer takes what is shown in brackets."""
        shown = f" [{stored}]" if stored else ""
        while True:
            output.note(f"{question.text}: {question.form}")
            output.prompt(f"{question.option}{shown}: ")
            value = input().strip() or (stored or "")
            if question.fits(value):
                return value
            output.warn(f"{value!r} is not {question.form}")

    return answer


def _inspect(output: Output, data: str) -> None:
    path = Path(data).expanduser()
    if not path.exists():
        raise UsageError(f"{data} is neither a folder nor a file", hint="headrace inspect FOLDER_OR_ARCHIVE")
    reading = read_data_set(path, FOLDER_NAME if path.is_dir() else None).reading
    assert reading is not None, "it is read unless that is refused"
    show(output, reading)
    refuse(reading, data)
