"""What `make test-unit` leaves out, and how a test that builds on others runs alone, as pytest itself does it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

SUPPORT = Path(__file__).parent / "support"
HOOKS = {
    "started_processes": ("pytest_collection_modifyitems", "pytest_runtest_protocol"),
    "builds_on": ("pytest_collection_modifyitems", "pytest_runtest_makereport", "pytest_runtest_setup"),
}
STARTING = """
import subprocess, sys, threading
import pytest
from started_processes import starts_process

def start():
    subprocess.run([sys.executable, "-S", "-c", ""], check=True)

@pytest.fixture
@starts_process
def started():
    start()

@pytest.fixture
def through_another(started):
    pass

def test_unmarked():
    start()

def test_unmarked_that_catches_exceptions():
    try:
        start()
    except Exception:
        pass

@pytest.mark.process
def test_marked():
    start()

def test_with_fixture(through_another):
    pass

def test_of_this_process():
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
"""
CHAIN = """
import pytest

STATE = []

@pytest.mark.parametrize("case", [1, 2])
def test_first(case):
    STATE.append(case)

def test_broken():
    raise RuntimeError

@pytest.mark.builds_on("test_first")
def test_second():
    STATE.append("second")

@pytest.mark.builds_on("test_second")
def test_last():
    assert STATE == [1, 2, "second"]

@pytest.mark.builds_on("test_broken")
def test_on_what_is_broken():
    pass
"""
Ended = Callable[..., dict[str, str]]


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    def run(plugin: str, source: str, *words: str) -> dict[str, str]:
        """The outcome of each test that runs."""
        (tmp_path / "conftest.py").write_text(f"from {plugin} import {', '.join(HOOKS[plugin])}\n")
        (tmp_path / "test_it.py").write_text(source)
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    process\n    builds_on\n")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "no:xdist", *words],
            env={**os.environ, "PYTHONPATH": str(SUPPORT), "COLUMNS": "200"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        (tmp_path / "said").write_text(done.stdout)
        return dict(re.findall(r"^test_it\.py::(\S+) ([A-Z]+)", done.stdout, re.MULTILINE))

    return run


def test_a_test_that_starts_a_process_without_the_mark_fails_and_is_named(ended: Ended, tmp_path: Path) -> None:
    assert ended("started_processes", STARTING) == {
        "test_unmarked": "FAILED",
        "test_unmarked_that_catches_exceptions": "FAILED",
        "test_marked": "PASSED",
        "test_with_fixture": "PASSED",
        "test_of_this_process": "PASSED",
    }
    said = (tmp_path / "said").read_text()
    assert "test_it.py::test_unmarked starts a process: subprocess.Popen" in said
    assert "hint: mark it with @pytest.mark.process" in said


def test_the_unit_lane_leaves_out_what_is_marked_and_what_uses_a_marked_fixture(ended: Ended) -> None:
    of_unit = ended("started_processes", STARTING, "-m", "not process")
    assert set(of_unit) == {"test_unmarked", "test_unmarked_that_catches_exceptions", "test_of_this_process"}


def test_what_a_test_builds_on_is_selected_with_it(ended: Ended) -> None:
    assert ended("builds_on", CHAIN, "-k", "test_last") == dict.fromkeys(
        ("test_first[1]", "test_first[2]", "test_second", "test_last"), "PASSED"
    )


def test_what_has_failed_is_not_built_on(ended: Ended, tmp_path: Path) -> None:
    found = ended("builds_on", CHAIN, "-k", "test_on_what_is_broken")
    assert found == {"test_broken": "FAILED", "test_on_what_is_broken": "ERROR"}
    assert "it builds on test_it.py::test_broken, which failed" in (tmp_path / "said").read_text()
