"""docs/bad-input.md has no row that no test provokes."""

from pathlib import Path

import pytest
from bad_input_table import documented


def test_every_row_of_the_document_has_its_test(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_bad_input", default=False):
        pytest.skip("the document is written at the end")
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_bad_*.py"))
    assert documented()
    assert [given for given in documented() if f'"{given}"' not in tests] == []
