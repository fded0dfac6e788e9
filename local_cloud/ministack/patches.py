"""The register of patches: which names of ministack are replaced, in which order, by whom, and why.

ministack's internals are private: an upgrade may rename or remove each of them. `apply` therefore looks every name up
before the patch and after it. A name that is gone, a patch without effect, and a name that ministack has got itself
meanwhile are errors at the start of the local cloud. docs/patches.md is written from this table.
"""

import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import Any

from local_cloud.errors import MinistackChanged

_ITEM = re.compile(r"\[([^]]+)\]")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Patch:
    """What one module replaces for one reason."""

    by: str
    """The module below `local_cloud.ministack` whose `install` does it."""
    targets: tuple[str, ...]
    """``module:name.attribute[key][key]``, the module below `ministack`; the key ``*`` stands for every value."""
    why: str
    aws: str = ""
    """Where AWS documents what it does instead."""
    upstream: str = ""
    """ministack's issue, where one is known."""
    adds: bool = False
    """The targets are new: ministack has none of them."""


def apply(patches: Iterable[Patch], installers: Mapping[str, Callable[[], None]]) -> None:
    """Runs the installers, in the order of the register. Raises MinistackChanged."""
    done = set()
    for name, group in groupby(patches, key=lambda patch: patch.by):
        rows = list(group)
        before = {target: (_look_up(target), patch) for patch in rows for target in patch.targets}
        for target, (value, patch) in before.items():
            if (value is _MISSING) != patch.adds:
                raise _changed(patch, f"has {target} already" if patch.adds else f"has no {target}")
        installers[name]()
        for target, (value, patch) in before.items():
            if _is_same(_look_up(target), value):
                raise _changed(patch, f"has the same {target} as before its patch")
        done.add(name)
    assert done == installers.keys(), f"installers without a row in the register: {sorted(installers.keys() - done)}"


def _changed(patch: Patch, what: str) -> MinistackChanged:
    file = f"local_cloud/ministack/{patch.by.replace('.', '/')}.py"
    return MinistackChanged(
        f"{file}: ministack {version('ministack')} {what}: {patch.why}"
        "\nhint: make install brings the version that pyproject.toml pins; after an upgrade, change the patch, and its "
        "row in local_cloud/ministack/register.py"
    )


def _look_up(target: str) -> Any:
    """The value as it is now: a tuple for the key ``*``, and _MISSING when there is none."""
    module, _, path = target.partition(":")
    names, bracket, keys = path.partition("[")
    try:
        value: Any = importlib.import_module(f"ministack.{module}")
        for name in names.split("."):
            value = getattr(value, name)
        for key in _ITEM.findall(bracket + keys):
            value = tuple(value.values()) if key == "*" else value[key]
    except (ImportError, AttributeError, KeyError):
        return _MISSING
    return value


def _is_same(now: Any, before: Any) -> bool:
    if isinstance(now, tuple) and isinstance(before, tuple):
        return len(now) == len(before) and all(one is other for one, other in zip(now, before, strict=True))
    return now is before
