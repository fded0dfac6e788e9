"""From a TOML table to the values of a dataclass's fields, each checked to be of its field's type."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

NONE: Mapping[str, str] = {}


class SettingsError(ValueError):
    """environments.toml says something that cannot be; the message says what, where, and ends with a `hint:`."""

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(f"{where}: {what}\nhint: {hint}")


def load_tables(path: Path) -> dict[str, Any]:
    """Raises SettingsError for a file that is missing or not valid TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError("there is no such file", str(path), f"git checkout {path.name}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"it is not valid TOML: {error}", path.name, "git diff shows what changed") from error


def typed_values(
    table: Any, kind: type, where: str, *, derived: Mapping[str, str] = NONE, tables: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The values that the table gives for `kind`'s fields, but for the `tables` that it may hold.

    TOML's lists become tuples. `derived` are the fields that no table sets, each with the hint of its refusal.

    Raises SettingsError for an unknown key, a missing one that has no default, and a value of another type.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"it is {table!r}, not a table", where, "write it as a [table]")
    hints = get_type_hints(kind)
    known = {item.name: item for item in fields(kind) if item.name not in derived.keys() | tables}
    for key in table:
        if key in derived:
            raise SettingsError(f"{key} is set", where, derived[key])
        if key not in known.keys() | tables:
            raise SettingsError(f"unknown key {key!r}", where, f"known are {', '.join(sorted(known.keys() | tables))}")
    for name, item in known.items():
        if name not in table and item.default is MISSING and item.default_factory is MISSING:
            raise SettingsError(f"{name} is missing", where, f"add {name} = {type_name(hints[name])}")
    return {name: _value(table[name], hints[name], name, where) for name in known if name in table}


def _value(value: Any, hint: Any, name: str, where: str) -> Any:
    if float in (hint, *get_args(hint)) and type(value) is int:
        return float(value)
    item = get_args(hint)[0] if get_origin(hint) is tuple else None
    if is_dataclass(item) and isinstance(item, type) and isinstance(value, list):  # [[<table>.<name>]]
        return tuple(item(**typed_values(each, item, f"{where}, {name} {n}")) for n, each in enumerate(value, start=1))
    typed = tuple(value) if isinstance(value, list) else value
    if not _is(typed, hint):
        raise SettingsError(f"{name} is {value!r}", where, f"use {type_name(hint)}")
    return typed


def _is(value: Any, hint: Any) -> bool:
    """Exact types: in Python True is an int, in a settings file it is a mistake."""
    origin = get_origin(hint)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in get_args(hint))
    if origin in (Union, UnionType):
        return any(_is(value, option) for option in get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_is(item, get_args(hint)[0]) for item in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return type(value) is hint


def type_name(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return " or ".join(map(str, get_args(hint)))
    if origin in (Union, UnionType):
        return " or ".join(type_name(option) for option in get_args(hint) if option is not type(None))
    if origin is tuple:
        return f"a list of {type_name(get_args(hint)[0])}"
    if is_dataclass(hint):
        return "tables in double brackets"
    if origin is Mapping:
        return "a table of texts"
    return {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false"}[hint]
