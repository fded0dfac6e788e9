from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-definition", action="store_true", help="write docs/definition.md and the golden CreatePipeline request"
    )
