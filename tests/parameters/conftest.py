"""Fixtures of this folder: a real local cloud, and the SageMaker service in the test's own process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import InProcess
from local_cloud_in_use import bucket, cloud, connect, role

__all__ = ["bucket", "cloud", "connect", "role"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-parameters", action="store_true", help="write docs/parameters.md from the tables")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path)
    yield service
    service.service.stop()  # before the store is closed under an execution that still runs
