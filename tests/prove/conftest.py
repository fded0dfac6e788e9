from __future__ import annotations

from collections.abc import Callable

import pytest
from deployed_app import images

__all__ = ["images"]  # a fixture of this folder, beside the one below

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """States a figure that was measured; the end of the run shows them all."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
