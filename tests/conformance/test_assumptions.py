"""docs/assumptions.md: each row has a source, names what exists, and agrees with the checks of `make conformance`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.__main__ import CHECKS

ROOT = Path(__file__).parents[2]
COLUMNS = ("assumption", "source", "used in", "held here", "check", "seen on AWS")
NO_CHECK = "—"


def read_rows() -> list[dict[str, str]]:
    lines = (ROOT / "docs/assumptions.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert all(len(row) == len(COLUMNS) for row in rows), "a row has other columns"
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return [row for row in found if row["assumption"] != "assumption" and not row["assumption"].startswith("---")]


ROWS = read_rows()


@pytest.mark.parametrize("row", ROWS, ids=[row["assumption"][:50] for row in ROWS])
def test_a_row_has_a_source_and_names_files_that_exist(row: dict[str, str]) -> None:
    assert len(row["source"]) > 10
    used = re.findall(r"`([^`]+)`", row["used in"])
    assert used
    held = re.findall(r"`([^`]+)`", row["held here"])
    assert held or row["held here"].startswith("nothing: ")
    assert re.fullmatch(r"not yet|20\d\d-\d\d-\d\d", row["seen on AWS"])
    assert [path for path in (*used, *held) if not (ROOT / path).is_file()] == []


def test_rows_and_checks_name_each_other() -> None:
    named = {row["check"] for row in ROWS} - {NO_CHECK}
    assert named == {check.name for check in CHECKS}


def test_every_check_has_a_unique_name_and_says_how_it_is_answered() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all((check.act is None) == bool(check.by_hand) for check in CHECKS)
