"""The order of the folders: what takes longest begins first, so that no worker of pytest-xdist ends with it alone.

`make test` keeps this order (`--no-loadscope-reorder`); by itself xdist begins with the files of most tests.
"""

from __future__ import annotations

import pytest
from started_processes import TESTS

FIRST = ("end_to_end", "local_cloud", "training", "infra", "bad_input")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)  # which leaves the order within a folder as it is


def _place(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return FIRST.index(folder) if folder in FIRST else len(FIRST)
