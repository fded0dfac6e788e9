"""`make mutants` changes what matters, one place at a time, and what it writes is Python."""

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CODE = '''"""A docstring of 3 words."""
from shared import log

LIMIT: int = 3


def choose(é: list[int], *, deep: bool = True) -> int | None:
    """Returns 1."""
    log.info("chosen", count=1)
    if not é and deep:
        raise ValueError(f"{len(é) + 1} of 2")
    sort(é, reverse=False)
    return é[0] if len(é) >= LIMIT else max(é, default=None)
'''


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tests/mutation/mutants.py"))


def test_each_mutant_is_one_change_of_the_code_and_none_of_a_text(tool: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(CODE, "utf-8")
    made = [(mutant.line, mutant.before, mutant.after) for mutant in tool["mutants_of"](tmp_path, file)]
    assert made == [
        (4, "3", "(4)"),
        (7, "True", "(False)"),
        (10, "not é and deep", "(not é or deep)"),
        (10, "not é", "(é)"),
        (11, 'raise ValueError(f"{len(é) + 1} of 2")', "pass"),
        (12, "sort(é, reverse=False)", "pass"),
        (12, "sort(é, reverse=False)", "(sort(é))"),
        (12, "False", "(True)"),
        (13, "return é[0] if len(é) >= LIMIT else max(é, default=None)", "return None"),
        (
            13,
            "é[0] if len(é) >= LIMIT else max(é, default=None)",
            "(max(é, default=None) if len(é) >= LIMIT else é[0])",
        ),
        (13, "len(é) >= LIMIT", "(len(é) > LIMIT)"),
        (13, "0", "(1)"),
        (13, "max(é, default=None)", "(max(é))"),
    ]
    for mutant in tool["mutants_of"](tmp_path, file):
        assert ast.dump(ast.parse(mutant.content)) != ast.dump(ast.parse(CODE))


def test_each_area_names_code_and_tests_that_are_there(tool: dict[str, Any]) -> None:
    for area in tool["AREAS"].values():
        named = [*area.code, *(text for stage in area.tests for text in stage if text.startswith("tests/"))]
        assert [text for text in named if not any(ROOT.glob(text))] == []
