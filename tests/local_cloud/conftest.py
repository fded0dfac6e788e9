"""Fixtures of this folder: a local cloud that runs."""

import pytest
from local_cloud_in_use import bucket, cloud, connect, mortal, role

__all__ = ["bucket", "cloud", "connect", "mortal", "role"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-sandbox", action="store_true", help="write the table of docs/sandbox.md")
    parser.addoption("--write-images", action="store_true", help="write the table of docs/images.md")
    parser.addoption("--write-patches", action="store_true", help="write docs/patches.md from the register of patches")
