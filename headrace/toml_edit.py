"""Change values in environments.toml and leave everything else as a person wrote it: comments, order, alignment.

The standard library reads TOML and does not write it. So the lines are changed, and the result is read again: if it is
not exactly what was there with the new values, nothing is written.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from headrace.errors import SetupError

_HEADING = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")
_VALUE = r"""(\s*["']?{key}["']?\s*=\s*)("[^"\\]*"|'[^']*')(.*)"""


def set_texts(path: Path, table: str, values: Mapping[str, str]) -> None:
    """Set these keys of a table to texts. Raises SetupError where the file is written in a form that is not known."""
    text = path.read_bytes().decode("utf-8")
    changed = with_texts(text, table, values)
    wanted = tomllib.loads(text)
    wanted[table] |= values
    try:
        same = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        lines = "; ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        raise SetupError(
            f"{path.name} has the table [{table}] in a form that this command cannot change",
            hint=f"write under [{table}] by hand: {lines}",
        )
    _replace(path.resolve(), changed)


def with_texts(text: str, table: str, values: Mapping[str, str]) -> str:
    """The text with those values: in the place of the old ones, or after the last line of the table."""
    lines = text.splitlines(keepends=True)
    missing = dict(values)
    inside, last = False, None
    for number, line in enumerate(lines):
        bare = line.rstrip("\r\n")
        heading = _HEADING.fullmatch(bare)
        if heading or bare.lstrip().startswith("[["):
            inside = heading is not None and heading[1] == table
        if not inside:
            continue
        for key, value in values.items():
            found = re.fullmatch(_VALUE.format(key=re.escape(key)), bare)
            if found:
                missing.pop(key, None)
                lines[number] = f"{found[1]}{json.dumps(value)}{found[3]}{line[len(bare) :]}"
        if bare.strip() and not bare.lstrip().startswith("#"):
            last = number
    if last is not None and missing:
        end = lines[last][len(lines[last].rstrip("\r\n")) :] or "\n"
        lines[last] = lines[last].rstrip("\r\n") + end
        lines[last + 1 : last + 1] = [f"{key} = {json.dumps(value)}{end}" for key, value in missing.items()]
    return "".join(lines)


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
