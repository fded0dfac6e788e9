"""Types of arguments and options that several commands have: each converts a text, or says why it does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, readable=False)  # whatever is there: the command says what is wrong with it


class Number(click.ParamType[float]):
    """A number within bounds, both allowed."""

    name = "number"

    def __init__(self, kind: type[int] | type[float], least: float, most: float, wanted: str) -> None:
        self.kind, self.least, self.most, self.wanted = kind, least, most, wanted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = self.kind(value)
        except ValueError:
            self.fail(f"{value} is not {self.wanted}", param, ctx)
        if not self.least <= number <= self.most:
            self.fail(f"{value} is not {self.wanted}", param, ctx)
        return number


COUNT = Number(int, 0, inf, "a whole number, 0 or more")
PORT = Number(int, 1024, 65535, "a whole number between 1024 and 65535")
SECONDS = Number(float, 0, 7 * 86400, "a number between 0 seconds and 7 days")
INTERVAL = Number(float, 0.01, 3600, "a number between 0.01 and 3600 seconds")


def assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text} is not KEY=VALUE")
    return key, value


def project_name(text: str) -> str:
    if not re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", text) or len(text) > 32:
        raise click.BadParameter(f"{text} is not 1 to 32 letters, digits and inner hyphens")
    return text


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text} is not a time such as 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.astimezone().astimezone(UTC)


def set_option(name: str, *, metavar: str, text: str) -> Callable[[Function], Function]:
    """`--set`, as a dictionary in the parameter `name`."""
    return click.option(
        "--set", name, type=assignment, multiple=True, metavar=metavar, help=f"{text}; may be repeated",
        callback=lambda _context, _option, pairs: dict(pairs),
    )  # fmt: skip


def wait_option(text: str) -> Callable[[Function], Function]:
    return click.option("--wait", type=SECONDS, default=0.0, metavar="SECONDS", help=f"{text} (default: 0)")


def interval_option(*, hidden: bool = True) -> Callable[[Function], Function]:
    return click.option(
        "--interval", type=INTERVAL, default=2.0, metavar="SECONDS", hidden=hidden, help="how often to ask (default: 2)"
    )
