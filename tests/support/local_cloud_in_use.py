"""Fixtures: a real local cloud, on its own port and in its own state directory, with a bucket and a role to use."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import BUCKET, client, free_port, make_role
from started_processes import starts_process

from local_cloud import process
from local_cloud.process import Running


@pytest.fixture(scope="session")
@starts_process
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("cloud") / "state"
    yield process.start(state, port=free_port())
    process.stop(state)


@pytest.fixture(scope="session")
@starts_process
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A local cloud for accounts of a test's own, beside the scripted one of tests/headrace."""
    state = tmp_path_factory.mktemp("accounts") / "state"
    yield process.start(state, port=free_port())
    process.stop(state)


@pytest.fixture
@starts_process
def mortal(tmp_path: Path) -> Iterator[Running]:
    """A local cloud that may be killed."""
    state = tmp_path / "state"
    yield process.start(state, port=free_port())
    process.stop(state)


def kill(cloud: Running) -> None:
    """SIGKILL, once what is in memory has been saved."""
    saved = cloud.state / "aws" / "iam.json"
    since = time.time()
    while not (saved.exists() and saved.stat().st_mtime > since):
        time.sleep(0.1)
    os.kill(cloud.pid, signal.SIGKILL)
    while process.running(cloud.state) is not None:
        time.sleep(0.02)


@pytest.fixture(scope="session")
def connect(cloud: Running) -> Callable[[str], Any]:
    """A client of the account's root, by service name."""
    return lambda service: client(cloud, service)


@pytest.fixture(scope="session")
def bucket(connect: Callable[[str], Any]) -> str:
    connect("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture(scope="session")
def role(connect: Callable[[str], Any], bucket: str) -> str:
    """A role that may do all that the engine and its jobs need."""
    return make_role(
        connect("iam"),
        "everything",
        ["sagemaker:*", "s3:*", "logs:*", "lambda:*", "cloudwatch:*", "iam:PassRole"],
        ["*"],
    )
