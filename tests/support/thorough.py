"""How much of a thing a test takes: some in the suite, all with `--thorough`, as `make prove` runs a few files."""

from __future__ import annotations

from typing import TypeVar

import pytest

T = TypeVar("T")
_CHOSEN = {"thorough": False}


def pytest_configure(config: pytest.Config) -> None:
    _CHOSEN["thorough"] = bool(config.getoption("thorough"))


def some(suite: T, *, thorough: T) -> T:
    """A number of examples or objects, or the cases themselves; for tests to ask at their import or when they run."""
    return thorough if _CHOSEN["thorough"] else suite
