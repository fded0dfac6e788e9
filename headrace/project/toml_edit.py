"""Change values in environments.toml and leave everything else as a person wrote it: comments, order, alignment.

tomlkit keeps the form. The result is read again with the standard library: if it is not exactly what was there with the
new values, nothing is written.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Comment, Table, Whitespace

from headrace.errors import SetupError

Values: TypeAlias = Mapping[str, str | float | bool]
Tables: TypeAlias = Mapping[str, Values]
"""Values by the name of their table, such as `dev` or `dev.pipeline`. No name of a table of ours needs quotes."""


def set_values(path: Path, tables: Tables) -> None:
    """Set these keys. Missing tables are added. Raises SetupError if tomlkit cannot change a table of this form."""
    text = path.read_bytes().decode("utf-8")
    wanted: dict[str, Any] = tomllib.loads(text)
    for name, values in tables.items():
        table = wanted
        for key in name.split("."):
            table = table.setdefault(key, {})
        table |= values
    try:
        changed = with_values(text, tables)
        same = tomllib.loads(changed) == wanted
    except (TOMLKitError, tomllib.TOMLDecodeError, ValueError, TypeError, AttributeError):
        same = False
    if not same:
        lines = "; ".join(f"under [{name}]: {_written(values)}" for name, values in tables.items())
        raise SetupError(f"{path.name} has a form that this command cannot change", hint=f"write by hand {lines}")
    _replace(path.resolve(), changed)


def with_values(text: str, tables: Tables) -> str:
    """The text with those values."""
    document = tomlkit.parse(text)
    for name, values in tables.items():
        *parents, last = name.split(".")
        parent: Any = document
        for key in parents:
            parent = parent[key]
        if last not in parent:
            if not parents:
                document.add(tomlkit.nl())
            parent[last] = tomlkit.table()
        table = parent[last]
        # What stands after the last key, a comment on the next table as a rule, stays behind the new keys.
        end = _cut_end(table) if isinstance(table, Table) else []
        for key, value in values.items():
            table[key] = value
        if end:
            table.value.body.extend(end)
    return tomlkit.dumps(document)


def _cut_end(table: Table) -> list[Any]:
    """Remove and return the blank lines and comments after the last key."""
    body, start = table.value.body, len(table.value.body)
    while start and isinstance(body[start - 1][1], Comment | Whitespace):
        start -= 1
    end = body[start:]
    del body[start:]
    return end


def _written(values: Values) -> str:
    return ", ".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in values.items())


def _replace(path: Path, text: str) -> None:
    """All of it or nothing."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        os.chmod(draft, path.stat().st_mode)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
