"""Your own data set (`make check DATA=birds/`): which classes a run would learn, or why preprocessing fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from headrace.commands import inspection
from headrace.terminal.output import Output


def test_the_data_set_can_be_trained_on(
    pytestconfig: pytest.Config, explained: Callable[[], AbstractContextManager[None]]
) -> None:
    target = pytestconfig.getoption("data")
    if not target:
        pytest.skip("no data set was named: make check DATA=<folder or archive>")
    with explained():
        inspection.inspect_here("local", Output(), target=target)
