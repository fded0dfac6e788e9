"""What `next:` and `hint:` say can be typed as it stands, also where `headrace` is not on PATH."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import SetupError
from headrace.invocation import with_path
from headrace.terminal.output import Output


@pytest.fixture
def not_on_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installation in `.venv` of the current folder, as after `make demo`."""
    program = tmp_path / ".venv" / "bin" / "headrace"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho typed: "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return program


def test_a_command_is_printed_by_its_path_where_path_lacks_it(not_on_path: Path) -> None:
    stderr = io.StringIO()
    output = Output(stderr=stderr)
    output.next("headrace models", "what is registered")
    output.error(SetupError("it is down", hint='eval "$(headrace env)"; headrace --env dev status'))
    assert "next: .venv/bin/headrace models   # what is registered" in stderr.getvalue()
    assert 'hint: eval "$(.venv/bin/headrace env)"; .venv/bin/headrace --env dev status' in stderr.getvalue()


@pytest.mark.process
def test_what_is_printed_runs_in_a_shell_from_any_folder(not_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (not_on_path.parents[2], not_on_path.parent):
        monkeypatch.chdir(folder)
        done = subprocess.run(["sh", "-c", with_path("headrace models")], capture_output=True, text=True, check=True)
        assert done.stdout == "typed: models\n"


@pytest.mark.process
def test_a_path_with_spaces_is_quoted(not_on_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    moved = tmp_path / "modèles à moi"
    (tmp_path / ".venv").rename(tmp_path / ".venv-moved")
    moved.mkdir()
    (tmp_path / ".venv-moved").rename(moved / ".venv")
    monkeypatch.setattr(sys, "prefix", str(moved / ".venv"))
    done = subprocess.run(["sh", "-c", with_path("headrace up")], capture_output=True, text=True, check=True)
    assert done.stdout == "typed: up\n"


def test_a_command_stays_as_it_is_where_path_has_it(not_on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{not_on_path.parent}{os.pathsep}/usr/bin")
    assert with_path("headrace models") == "headrace models"


def test_another_headrace_on_path_is_not_taken_for_this_one(
    not_on_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "headrace"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert with_path("headrace models") == ".venv/bin/headrace models"


def test_a_name_that_only_holds_the_word_is_left_alone(not_on_path: Path) -> None:
    for text in ("headrace-dev is there", "s3://headrace/x", "the project headrace", "my-headrace models"):
        assert with_path(text) == text
