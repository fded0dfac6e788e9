"""The unit lane: a test that is not marked `process` must not start a process, in whatever lane it runs.

`make test-unit` runs the tests without the mark. A fixture that starts a process is decorated with `starts_process`,
and the tests that use it, be it through other fixtures, get the mark. A test that starts one by itself is marked where
it stands, and so is a module (`pytestmark`) or a folder (FOLDERS) whose tests do little else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

Fixture = TypeVar("Fixture", bound=Callable[..., Any])

UNIT = "not process"  # the mark expression of `make test-unit`
# Importing aws_cdk starts Node.js: tests/infra is not even collected. The others start a local cloud or a command.
FOLDERS = ("bad_input", "check", "end_to_end", "infra", "prove", "sdk")
TESTS = Path(__file__).parents[1]
# Audit events of the interpreter: https://docs.python.org/3/library/audit_events.html
STARTS = frozenset(
    {"subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"}
)


def starts_process(fixture: Fixture) -> Fixture:
    """Below `@pytest.fixture`: the tests that use it are marked `process`."""
    fixture.__dict__["starts_process"] = True
    return fixture


class Guard:
    """Fails a test in the moment in which it starts a process without the mark."""

    def __init__(self) -> None:
        self.watched: str | None = None  # the test that must not start one

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watched and event in STARTS:
            pytest.fail(
                f"{self.watched} starts a process: {event} {arguments[:2]!r}\n\n"
                "hint: mark it with @pytest.mark.process, or its fixture with @starts_process"
            )


GUARD = Guard()
sys.addaudithook(GUARD)  # for the rest of the process: Python removes none


@pytest.hookimpl(tryfirst=True)  # before -m looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
        if folder in FOLDERS or any(hasattr(used.func, "starts_process") for (*_, used) in fixtures):
            item.add_marker("process")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    unit = config.option.markexpr == UNIT
    return True if unit and collection_path.parent == TESTS and collection_path.name in FOLDERS else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    GUARD.watched = None if item.get_closest_marker("process") else item.nodeid
    try:
        return (yield)
    finally:
        GUARD.watched = None
