"""`@pytest.mark.builds_on("test_a")`: the test begins where test_a of its module has ended, so that has to run first.

Selecting the test with -k or -m selects what it builds on too, so that any test runs alone. What has failed is not
built on: the test fails at once and names it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

ENDED_BADLY = pytest.StashKey[set[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    collected = list(items)
    yield  # -k and -m leave some out
    needed = set(items)
    for item in reversed(collected):
        if item in needed:
            needed |= {other for other in collected if name_of(other) in names_below(item)}
    if needed > set(items):
        items[:] = [item for item in collected if item in needed]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if broken := names_below(item) & item.session.stash.get(ENDED_BADLY, set()):
        pytest.fail(f"it builds on {', '.join(sorted(broken))}, which failed", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report: pytest.TestReport = yield
    if report.failed:
        item.session.stash.setdefault(ENDED_BADLY, set()).add(name_of(item))
    return report


def name_of(item: pytest.Item) -> str:
    """Without its parameters: a test builds on all cases of another."""
    return item.nodeid.partition("[")[0]


def names_below(item: pytest.Item) -> set[str]:
    module = item.nodeid.partition("::")[0]
    return {f"{module}::{name}" for mark in item.iter_markers("builds_on") for name in mark.args}
