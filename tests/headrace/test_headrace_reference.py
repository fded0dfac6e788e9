"""docs/cli.md has every command and every argument as the parser has them."""

from __future__ import annotations

import pytest
from cli_reference import COMMAND, DOCUMENT, reference


def test_the_reference_of_the_command_line_is_as_the_parser_has_it(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_cli"):
        DOCUMENT.write_text(reference(), "utf-8")
    assert DOCUMENT.read_text("utf-8") == reference(), f"{DOCUMENT} differs from the parser; {COMMAND}"
