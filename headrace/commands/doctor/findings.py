"""What a check has found: in order, a problem with its cure, or that it could not be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from headrace.client.environment import Environment
from headrace.errors import HeadraceError
from headrace.terminal.output import Output

COLUMNS = ("check", "result", "found", "cure")


class Result(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "could not be checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """`hint` is the cure; None where nothing is to be done."""

    check: str
    result: Result
    found: str
    hint: str | None = None


Check = Callable[[Environment], Iterable[Finding]]


def ok(check: str, found: str) -> Finding:
    return Finding(check, Result.OK, found)


def problem(check: str, found: str, *, hint: str) -> Finding:
    return Finding(check, Result.PROBLEM, found, hint)


def unknown(check: str, found: str, *, hint: str | None) -> Finding:
    return Finding(check, Result.UNKNOWN, found, hint)


def run_check(name: str, check: Check, environment: Environment) -> Iterator[Finding]:
    """The findings of a check; an error of AWS's, such as a permission that is missing, is one as well."""
    try:
        yield from check(environment)
    except HeadraceError as error:
        yield unknown(name, str(error), hint=error.hint)


def show(findings: Iterable[Finding], output: Output) -> None:
    data: list[dict[str, Any]] = [asdict(finding) for finding in findings]
    rows = [[item["check"], item["result"], item["found"], item["hint"] or "-"] for item in data]
    output.table(COLUMNS, rows, data)
