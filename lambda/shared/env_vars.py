"""Read a function's settings from its environment variables. The fields of a dataclass say which these are.

    @dataclass(frozen=True, slots=True)
    class Environment(Variables):
        queue_url: str                                          # QUEUE_URL, not empty
        count: Annotated[int, "INSTANCE_COUNT", range(1, 101)]  # another name, and limits
        lines: tuple[str, ...] = ()                             # LINES, a JSON list; may be left out
        budget: Budget | None = None                            # further Variables; None without the first of them
        line: Annotated[str, NOT_READ] = ""

Text is written as it is, everything else in JSON. A `float` is an amount in USD, and above 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from math import inf
from types import NoneType, UnionType
from typing import Annotated, Any, Self, Union, get_args, get_origin, get_type_hints

from shared.errors import SettingError

NOT_READ = object()
LISTS = (frozenset, list, tuple)


class Variables:
    """The base of such dataclasses."""

    __slots__ = ()

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Self:
        """Raises SettingError, which names every variable that is missing or wrong."""
        values, problems = {}, []
        for item, name, hint in _variables(cls):  # type: ignore[arg-type]  # mypy: a type[Self] is not hashable
            optional = NoneType in get_args(hint)
            kind = get_args(hint)[0] if optional else hint
            nested = isinstance(kind, type) and issubclass(kind, Variables)
            required = nested or (item.default is MISSING and item.default_factory is MISSING)
            first = _variables(kind)[0][1] if nested else name
            if first not in source and (optional or not required):
                continue
            try:
                values[item.name] = kind.from_variables(source) if nested else _value(source, name, kind)
            except SettingError as problem:
                problems.append(problem)
        if problems:
            hints = dict.fromkeys(problem.hint for problem in problems)
            raise SettingError("; ".join(problem.what for problem in problems), hint="; ".join(hints))
        return cls(**values)


@cache
def _variables(kind: Any) -> list[tuple[Field[Any], str, Any]]:
    """Each field that is read, the name of its variable, and its type."""
    found, hints = [], get_type_hints(kind, include_extras=True)
    for item in fields(kind):
        hint, notes = _split(hints[item.name])
        if NOT_READ not in notes:
            name = next((note for note in notes if isinstance(note, str)), item.name.upper())
            found.append((item, name, hint if NoneType in get_args(hint) else hints[item.name]))
    return found


def _split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """The type, and what is annotated to it."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def _value(source: Mapping[str, str], name: str, hint: Any) -> Any:
    value, kind = source.get(name, ""), _split(hint)[0]
    if not value:
        raise SettingError(
            f"the environment variable {name} is not set", hint="deploy the stack again: it sets every variable"
        )
    if kind is str:
        return value
    is_number = kind in (int, float)
    try:
        return _converted(json.loads(value), hint)
    except json.JSONDecodeError as error:
        what = f"is {value!r}" if is_number else f"is not valid JSON: {error}"
    except ValueError:
        what = f"{'is' if is_number else 'holds'} {value!r}"
    raise SettingError(f"the environment variable {name} {what}", hint=f"give {_described(hint)}")


def _converted(value: Any, hint: Any) -> Any:
    """Raises ValueError for a value of another type, or beyond its limits."""
    kind, notes = _split(hint)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        for option in arguments:
            with suppress(ValueError):
                return _converted(value, option)
    elif origin is Mapping and isinstance(value, dict):
        return {name: _converted(item, arguments[1]) for name, item in value.items()}
    elif origin in LISTS and isinstance(value, list):
        return origin(_converted(item, arguments[0]) for item in value)
    elif is_dataclass(kind) and isinstance(value, dict):
        hints = get_type_hints(kind, include_extras=True)
        if value.keys() == hints.keys():
            return kind(**{name: _converted(value[name], hints[name]) for name in hints})  # type: ignore[operator]
    elif kind is float:
        if type(value) in (int, float) and 0 < value < inf:
            return value
    elif type(value) is kind and all(value in note for note in notes if isinstance(note, range)):
        return value
    raise ValueError


def _described(hint: Any, *, several: bool = False) -> str:
    kind, notes = _split(hint)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " and ".join(_described(option, several=several) for option in arguments)
    if is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        return "objects with " + " and ".join(f"{name} ({_described(inner)})" for name, inner in hints.items())
    if origin is Mapping or origin in LISTS:
        what = "JSON object" if origin is Mapping else "list" if several else "JSON list"
        return f"{f'{what}s' if several else f'a {what}'} of {_described(arguments[origin is Mapping], several=True)}"
    if kind is int:
        (limits,) = (note for note in notes if isinstance(note, range))
        return f"a whole number from {limits[0]} to {limits[-1]}"
    return {str: ("a string", "strings"), float: ("a number above 0", "numbers above 0")}[kind][several]
