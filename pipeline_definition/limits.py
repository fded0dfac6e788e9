"""Limits of settings, annotated to their types. The settings check them, and the JSON schema for editors has them.

epochs: Annotated[int, Range(1, hint="use a whole number from 1 up")] = 20
notice_emails: tuple[Annotated[str, Pattern(_EMAIL, hint="…")], ...] = ()
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

Problem: TypeAlias = tuple[str, str]
"""What is wrong, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Range:
    """A finite number from `at_least` to `at_most`, which is `above` and `below` two others."""

    at_least: float = -inf
    at_most: float = inf
    above: float = -inf
    below: float = inf
    hint: str = field(kw_only=True)

    def admits(self, value: float) -> bool:
        return isfinite(value) and self.at_least <= value <= self.at_most and self.above < value < self.below


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text that matches as a whole."""

    pattern: re.Pattern[str]
    hint: str = field(kw_only=True)

    def admits(self, value: str) -> bool:
        return self.pattern.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Items:
    """The length of a list; `distinct` is whether its items have to differ, `or_none` whether it may be empty."""

    at_least: int
    at_most: float = inf
    distinct: bool = False
    or_none: bool = False
    hint: str = field(kw_only=True)

    def admits(self, value: tuple[Any, ...]) -> bool:
        differ = not self.distinct or len(set(value)) == len(value)
        return differ and (self.at_least <= len(value) <= self.at_most or (self.or_none and not value))


def problems(settings: Any, of: str = "") -> Iterator[Problem]:
    """What is wrong with the fields of the dataclass, in their order. `of` follows their names in the text."""
    for name, hint in annotated_types(settings.__class__).items():
        yield from _problems(f"{name}{of}", "is", getattr(settings, name), hint)


@cache
def annotated_types(kind: Any) -> dict[str, Any]:
    """The types of the dataclass's fields with their annotations."""
    return get_type_hints(kind, include_extras=True)


def _problems(name: str, verb: str, value: Any, hint: Any) -> Iterator[Problem]:
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None:
        return
    if origin is Annotated:
        for limit in hint.__metadata__:
            if not limit.admits(value):
                yield f"{name} {verb} {_shown(value)}", limit.hint
        yield from _problems(name, verb, value, hint.__origin__)
    elif origin is Literal and value not in arguments:
        yield f"{name} {verb} {_shown(value)}", f"use one of {', '.join(map(str, arguments))}"
    elif origin in (Union, UnionType) and NoneType in arguments:
        yield from _problems(name, verb, value, arguments[0])
    elif origin is tuple:
        for item in value:
            yield from _problems(name, "holds", item, arguments[0])
    elif origin is Mapping:
        for key, item in value.items():
            yield from _problems(name, "holds", key, arguments[0])
            yield from _problems(name, f"holds {key} =", item, arguments[1])


def _shown(value: Any) -> str:
    """As TOML has it."""
    return repr(value) if not isinstance(value, tuple) else str(list(value)) if value else "empty"
