from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cloudformation_requests import cloudformation, stack
from hints_table import record
from worlds import DeployWorld, UploadWorld

__all__ = ["cloudformation", "stack"]  # fixtures of this folder, beside those below


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-trigger-inputs", action="store_true", help="write docs/trigger-inputs.md")


@pytest.fixture
def world() -> UploadWorld:
    return UploadWorld()


@pytest.fixture
def registry() -> DeployWorld:
    return DeployWorld()


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """The function's log lines since the last call, each of which must be one JSON object."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Takes note of the hints that the functions have logged, for tests/hints.toml."""
    report = yield
    if report.when == "call" and report.passed and item.config.getoption("write_hints"):
        lines = [line for line in report.capstdout.splitlines() if line.startswith('{"level"')]
        record(item.nodeid, [json.loads(line).get("hint", "") for line in lines], "lambda/")
    return report
