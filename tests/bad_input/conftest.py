"""Each test provokes a bad input and hands the message to `row`, which compares it with docs/bad-input.md.

`python -m pytest tests/bad_input --write-bad-input` writes the document instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from bad_input_table import DOCUMENT, ROOT, Row, document, documented, normalised
from local_cloud_in_use import bucket, cloud, connect, role
from suite import PROJECT

from local_cloud import process

__all__ = ["bucket", "cloud", "connect", "role"]  # fixtures of this folder, beside those below

COMMAND = Path(sys.executable).with_name("headrace")
DATA = "headrace-bad-input"
WRITTEN = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-bad-input", action="store_true", help="write docs/bad-input.md from what the tests see")


def pytest_configure(config: pytest.Config) -> None:
    partly = config.option.keyword or config.option.deselect or config.getoption("numprocesses", default=None)
    if partly and config.getoption("write_bad_input", default=False):
        raise pytest.UsageError("--write-bad-input needs all of tests/bad_input, in one process")


def pytest_sessionfinish(session: pytest.Session) -> None:
    rows = session.config.stash.get(WRITTEN, [])
    if rows and session.testsfailed == 0:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(document(rows), "utf-8")


@pytest.fixture
def row(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """Compares one row with the document; `places` are texts of this run and the names that stand for them."""
    writing = request.config.getoption("write_bad_input", default=False)

    def check(given: str, seen: str, message: str, **places: object) -> None:
        known = {str(place): f"<{name.replace('_', ' ')}>" for name, place in places.items()}
        places = {str(tmp_path): "<folder>", str(PROJECT): "<project>", str(ROOT): "<project>"}
        message = normalised(message, known | places)
        assert message, f"nothing was said of: {given}"
        found = Row(request.module.SECTION, given, seen, message)
        if writing:
            request.config.stash.setdefault(WRITTEN, []).append(found)
        else:
            assert found.line == documented().get(given), f"{DOCUMENT} says otherwise; --write-bad-input writes it"

    return check


@pytest.fixture(scope="session")
def stack(connect: Callable[[str], Any]) -> str:
    """A stack with the outputs that the commands read; its data bucket, which is there."""
    outputs = {"DataBucketName": DATA, "PipelineName": "headrace-local", "ModelPackageGroupName": "headrace-local",
               "EndpointName": "headrace-local", "UploadQueueUrl": "unused", "UploadDeadLetterQueueUrl": "unused",
               "DecisionQueueUrl": "unused", "DecisionDeadLetterQueueUrl": "unused",
               "NoticeQueueUrl": "unused", "NoticeDeadLetterQueueUrl": "unused"}  # fmt: skip
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    formation = connect("cloudformation")
    formation.create_stack(StackName="headrace-local", TemplateBody=json.dumps(template))
    formation.get_waiter("stack_create_complete").wait(StackName="headrace-local", WaiterConfig={"Delay": 1})
    connect("s3").create_bucket(Bucket=DATA)
    return DATA


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory that is not there yet; a local cloud that is started in it ends with the test."""
    state = tmp_path / "state"
    yield state
    if state.is_dir():
        process.stop(state)


def surroundings(state: Path) -> dict[str, str]:
    """Nothing of the developer's AWS configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADRACE_"))}
    nowhere = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    return kept | nowhere | {"AWS_EC2_METADATA_DISABLED": "true", "HEADRACE_STATE": str(state)}


@pytest.fixture
def headrace() -> Callable[..., str]:
    """What the real command prints on stderr, where its messages go; it has to end with the given status."""

    def run(state: Path, *arguments: object, status: int = 1) -> str:
        done = start_headrace(state, arguments)
        _, errors = done.communicate(timeout=60)
        assert done.returncode == status, errors
        assert "Traceback" not in errors
        return errors

    return run


def start_headrace(state: Path, arguments: Sequence[object]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)], cwd=PROJECT, env=surroundings(state), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # A shell that runs this suite in the background makes its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


@pytest.fixture
def interruptible() -> Callable[..., subprocess.Popen[str]]:
    return lambda state, *arguments: start_headrace(state, arguments)
