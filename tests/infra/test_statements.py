"""Who may do what on what, under which condition: each policy of each stack is as tests/infra/statements has it.

Tests of one permission say why it is there. This one sees that any condition or resource has changed: without it,
the upload queue could lose its `aws:SourceAccount`, and S3 of any account could write to it.

`python -m pytest tests/infra/test_statements.py --write-statements` writes the files; read the diff.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from policy_statements import statements

FOLDER = Path(__file__).with_name("statements")
COMMAND = f"python -m pytest {Path(__file__).name} --write-statements"


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Any:
    synthesized: Callable[..., Any] = request.getfixturevalue("synthesized")
    name = request.node.callspec.params["name"]
    match name:
        case "environment" | "retaining":
            return synthesized({"environment": "dev", "retaining": "prod"}[name])
        case "in a VPC":
            return synthesized("staging", network="vpc")
        case _:
            return request.getfixturevalue(name)


NAMES = ["environment", "retaining", "in a VPC", "project", "catalog", "source", "serving"]


def written(stack: Any) -> str:
    ids = {
        key: path
        for key, item in stack.content["Resources"].items()
        for path, it in stack.resources.items()
        if it is item
    }
    return statements(stack.resources, ids)


@pytest.mark.parametrize("name", NAMES)
def test_every_statement_is_exactly_as_it_was_read(name: str, stack: Any, request: pytest.FixtureRequest) -> None:
    file = FOLDER / f"{name.replace(' ', '-')}.txt"
    text = written(stack)
    if request.config.getoption("write_statements"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.read_text("utf-8") == text, f"{file} differs; read the diff of: {COMMAND}"


def test_a_condition_that_is_gone_shows(dev: Any) -> None:
    """The mutant that passed every other test: the upload queue without aws:SourceAccount."""
    before = written(dev)
    policy = next(
        item
        for path, item in dev.resources.items()
        if item["Type"] == "AWS::SQS::QueuePolicy" and path.startswith("Uploads/Queue")
    )
    statement = next(
        one
        for one in policy["Properties"]["PolicyDocument"]["Statement"]
        if "s3.amazonaws.com" in str(one["Principal"])
    )
    conditions = statement["Condition"]
    operator = next(operator for operator in conditions if "aws:SourceAccount" in conditions[operator])
    account = conditions[operator].pop("aws:SourceAccount")
    try:
        assert written(dev) != before
    finally:
        conditions[operator]["aws:SourceAccount"] = account
