"""The imports between the files of an import root: a folder such as lambda/ or training/ that is not a package itself.

import-linter reads packages alone, and `lambda` cannot be the name of one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


def texts(root: Path) -> dict[str, str]:
    """The text of each file by its module's name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        module = path.relative_to(root).with_suffix("")
        found[".".join(module.parts).removesuffix(".__init__")] = path.read_text("utf-8")
    return found


def imported(text: str) -> set[str]:
    """The modules, and whatever else could be one, that the text of a file imports; with dots."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def circle(files: Mapping[str, str]) -> list[str]:
    """The modules of a circle of imports, if there is one."""
    try:
        TopologicalSorter({module: imported(text) & files.keys() for module, text in files.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
