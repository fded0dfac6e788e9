"""What `deploy` and `destroy` say of a CDK that fails, by the end of its log."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_aws import FakeAws
from scripted_cloud import Result

from headrace.errors import from_disk

pytestmark = pytest.mark.process

Headrace = Callable[..., Result]
APP = """(node:1) Warning: something of npm's
error: environments.toml [dev]: region is 'frankfurt'
hint: use a region's code, for example "eu-central-1"
python app.py: Subprocess exited with error 1
"""
TAKEN = "headrace-local | CREATE_FAILED | Model Package Group already exists: arn:aws:sagemaker:…/headrace-local\n"


@pytest.fixture
def failing(tmp_path: Path) -> Callable[[str], None]:
    """A CDK that writes this and fails."""
    (tmp_path / ".headrace").mkdir()
    npx = tmp_path / ".venv/bin/npx"
    npx.parent.mkdir(parents=True)

    def fail_with(text: str) -> None:
        (tmp_path / "said").write_text(text)
        npx.write_text(f"#!/bin/sh\ncat {tmp_path / 'said'}\nexit 1\n")
        npx.chmod(0o755)

    return fail_with


def test_what_the_app_says_of_its_settings_is_the_error(headrace: Headrace, failing: Callable[[str], None]) -> None:
    failing(APP)
    assert headrace("deploy").err.endswith(
        "error: environments.toml [dev]: region is 'frankfurt'\n\n"
        'hint: use a region\'s code, for example "eu-central-1"\n'
    )


def test_a_name_that_is_taken_may_be_what_a_destroyed_stack_left(
    headrace: Headrace, failing: Callable[[str], None]
) -> None:
    failing(TAKEN)
    result = headrace("deploy")
    assert "Model Package Group already exists" in result.err
    assert "hint: headrace adopt   # if that is what a destroyed stack left; " in result.err


def test_a_full_disk_is_named_and_not_left_to_the_log(headrace: Headrace, failing: Callable[[str], None]) -> None:
    failing("Error: ENOSPC: no space left on device, write")
    result = headrace("deploy")
    assert re.search(r"^error: cdk deploy failed: the disk of \S+/\.headrace is full$", result.err, re.MULTILINE)
    assert "hint: make room (df -h " in result.err


def test_a_disk_that_is_full_for_a_command_itself_is_an_error_with_a_hint() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space") as caught:
        full.write(b"x")
    assert "the disk is full" in str(from_disk(caught.value))
    assert "HEADRACE_STATE" in str(from_disk(caught.value).hint)
    with pytest.raises(PermissionError):  # other errors than a full disk pass through
        from_disk(PermissionError(13, "Permission denied"))


def test_destroying_what_is_not_there_says_so_and_asks_no_cdk(headrace: Headrace, aws: FakeAws) -> None:
    aws.outputs = None
    result = headrace("destroy")
    assert result.status == 0
    assert "there is no stack headrace-local" in result.err


def test_a_protected_stack_is_destroyed_in_two_steps(headrace: Headrace, aws: FakeAws) -> None:
    aws.stack_is_protected = True
    result = headrace("destroy")
    assert result.status == 1
    assert "the stack headrace-local is protected" in result.err
    assert "update-termination-protection --no-enable-termination-protection --stack-name headrace-local" in result.err


def test_the_cdk_does_not_read_the_users_own_settings_of_the_cdk(headrace: Headrace, tmp_path: Path) -> None:
    """The CDK reads ~/.cdk.json, which may name another app, context or toolkit stack."""
    (tmp_path / ".headrace").mkdir()
    npx = tmp_path / ".venv/bin/npx"
    npx.parent.mkdir(parents=True)
    npx.write_text('#!/bin/sh\necho "home is $HOME"\nexit 1\n')
    npx.chmod(0o755)
    assert f"home is {tmp_path / '.headrace'}" in headrace("deploy").err


def test_an_installation_of_somebody_else_is_not_written_to(
    headrace: Headrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jsii unpacks the CDK's packages: into .venv, or beside the state if .venv is another user's."""
    (tmp_path / ".headrace").mkdir()
    npx = tmp_path / ".venv/bin/npx"
    npx.parent.mkdir(parents=True)
    npx.write_text('#!/bin/sh\necho "packages are in $JSII_RUNTIME_PACKAGE_CACHE_ROOT"\nexit 1\n')
    npx.chmod(0o755)
    assert f"packages are in {tmp_path / '.venv/jsii'}" in headrace("deploy").err
    granted = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != ".venv" and granted(path, mode))
    assert f"packages are in {tmp_path / '.headrace/jsii'}" in headrace("deploy").err
