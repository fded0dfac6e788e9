"""The networks that the training code knows, read from its text: nothing of it is imported, and no torch is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from source_code.archive import Files
from source_code.imports import parse

MODEL, TABLE = "model.py", "NETWORKS"  # training/model.py lists its networks there
BACKBONE, PREFIX = "backbone.py", "PREFIX"  # and a backbone of timm is named by this prefix and its name


@dataclass(frozen=True, slots=True)
class Networks:
    names: tuple[str, ...]
    prefix: str | None

    def know(self, network: str) -> bool:
        return network in self.names or (self.prefix is not None and network.startswith(self.prefix))

    def __str__(self) -> str:
        return ", ".join([*self.names, *([f"{self.prefix}<name>"] if self.prefix else [])])


def networks(files: Files) -> Networks | None:
    """None where the code does not list them in the usual place, with names that are written out."""
    table, prefix = _assigned(files, MODEL, TABLE), _assigned(files, BACKBONE, PREFIX)
    if not isinstance(table, ast.Dict):
        return None
    names = [key.value for key in table.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    if len(names) != len(table.keys):
        return None
    value = prefix.value if isinstance(prefix, ast.Constant) else None
    return Networks(tuple(names), value if isinstance(value, str) else None)


def _assigned(files: Files, name: str, variable: str) -> ast.expr | None:
    """What the module assigns to the variable, if it is done once."""
    statements = parse(name, files[name].content).body if name in files else []
    found = [
        statement.value
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign) and variable in _targets(statement)
    ]
    return found[0] if len(found) == 1 else None


def _targets(statement: ast.Assign | ast.AnnAssign) -> Iterable[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
