"""Whatever is put into the bucket or the queue has the outcome of its row in docs/trigger-inputs.md.

`python -m pytest tests/lambda/test_trigger_inputs.py --write-trigger-inputs` writes that document instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bad_input_table import ROOT, Row, document
from trigger_inputs import KEYS, MESSAGES, Input
from worlds import BUCKET, UploadWorld

DOCUMENT = ROOT / "docs" / "trigger-inputs.md"
OPENING = """\
# What comes of what is put into the bucket or the queue

Each row is what a test in `tests/lambda/test_trigger_inputs.py` sees; it fails when the outcome or the words differ.

- **run**: the data set is run, once.
- **ignored**: the function's log says why; nothing is kept.
- **refused**: the definition in force stays; its author is informed by an object beside it and by a notice.
- **dead-lettered**: the message is in the dead-letter queue with this reason, a notice is sent, and `headrace redrive`
  sends it again.

`python -m pytest tests/lambda/test_trigger_inputs.py --write-trigger-inputs` writes this file again.
"""
HEADER = "| what was given | outcome | the reason |\n| --- | --- | --- |\n"
SECTIONS = {"Objects in the data bucket": KEYS, "Messages in the queue": MESSAGES}
ROWS = [(section, given) for section, inputs in SECTIONS.items() for given in inputs]


def settle(world: UploadWorld) -> None:
    """Deliver until the queue is empty, however often a message fails."""
    while world.cloud.queue:
        message = min(world.cloud.queue, key=lambda message: message.due)
        world.cloud.now = max(world.cloud.now, message.due)
        world.deliver(message)


def outcome(world: UploadWorld, logged: list[dict[str, Any]]) -> tuple[str, str]:
    """What came of it, and the reason."""
    reasons = [getattr(letter, "reason", "none: the queue itself set it aside") for letter in world.cloud.dead_letters]
    if reasons:
        assert not world.executions()
        return "dead-lettered", "\n".join(dict.fromkeys(reasons))
    if world.cloud.notices:
        return "refused", "\n".join(notice["error"] for notice in world.cloud.notices)
    if world.executions():
        return "run", ""
    return "ignored", "\n".join(dict.fromkeys(line["reason"] for line in logged if line["message"] == "ignored"))


def observed(world: UploadWorld, section: str, given: Input, logged: Callable[[], list[dict[str, Any]]]) -> Row:
    given.act(world)
    settle(world)
    what, reason = outcome(world, logged())
    return Row(section, given.given, what, re.sub("x{200,}", "xx…x", reason))


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """The rows as they were seen; at the end they are the document, if that was asked for."""
    seen: list[Row] = []
    yield seen
    if request.config.getoption("write_trigger_inputs", default=False) and len(seen) == len(ROWS):
        DOCUMENT.write_text(document(seen, OPENING, HEADER), "utf-8")


@pytest.mark.parametrize(("section", "given"), ROWS, ids=[given.given for _, given in ROWS])
def test_each_input_has_its_outcome(
    world: UploadWorld, logged: Any, seen: list[Row], section: str, given: Input, request: pytest.FixtureRequest
) -> None:
    row = observed(world, section, given, logged)
    assert row.seen == given.outcome, row.message
    assert sorted(execution.parameters["DataSet"] for execution in world.executions()) == sorted(given.runs)
    assert not world.cloud.keys(BUCKET, "quiet/")
    seen.append(row)
    if not request.config.getoption("write_trigger_inputs", default=False):
        assert row.line in DOCUMENT.read_text("utf-8").splitlines(), "--write-trigger-inputs writes it"


def test_the_document_has_no_row_without_a_test() -> None:
    lines = [line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) == len(ROWS) + 2 * len(SECTIONS)
