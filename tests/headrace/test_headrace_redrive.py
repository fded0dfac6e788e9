"""Dead-lettered messages are shown with their reason, and go back to where they came from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from scripted_cloud import FakeCloud, Result

from headrace.client import executions
from headrace.client.environment import Environment, Queue
from headrace.commands import redrive
from headrace.commands.redrive import count_set_aside

Headrace = Callable[..., Result]
EVENT = json.dumps({"Records": [{"s3": {"object": {"key": "datasets/birds/1.jpg"}}}]})
REASON = "ClientError: not authorized to perform: sagemaker:StartPipelineExecution"


@pytest.fixture
def queues(storage: tuple[FakeCloud, Environment]) -> Iterator[tuple[Queue, ...]]:
    """The stack's queues, empty before and after."""
    _, environment = storage
    urls = [url for queue in environment.stack.queues for url in (queue.url, queue.dead_letters_url)]
    for url in urls:
        environment.client("sqs").purge_queue(QueueUrl=url)
    yield environment.stack.queues
    for url in urls:
        environment.client("sqs").purge_queue(QueueUrl=url)


def dead_letter(environment: Environment, queue: Queue, body: str, reason: str | None = REASON) -> None:
    attributes = {"Reason": {"DataType": "String", "StringValue": reason}} if reason else {}
    environment.client("sqs").send_message(
        QueueUrl=queue.dead_letters_url, MessageBody=body, MessageAttributes=attributes
    )


def bodies(environment: Environment, url: str) -> list[str]:
    found: list[Any] = (
        environment.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    )
    return [message["Body"] for message in found]


def test_messages_go_back_to_the_queue_they_came_from(
    headrace: Headrace, storage: tuple[FakeCloud, Environment], queues: tuple[Queue, ...]
) -> None:
    cloud, environment = storage
    uploads, decisions, _ = queues
    dead_letter(environment, uploads, EVENT)
    dead_letter(environment, decisions, "{}")
    result = headrace("redrive", on=cloud)
    assert result.status == 0, result.err
    assert "2 sent again" in result.err
    assert (bodies(environment, uploads.url), bodies(environment, decisions.url)) == ([EVENT], ["{}"])
    assert "empty" in headrace("redrive", on=cloud).err


def test_waiting_for_a_run_reports_what_was_dead_lettered(
    headrace: Headrace, storage: tuple[FakeCloud, Environment], queues: tuple[Queue, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The true reason why none starts, and not that of another case."""
    cloud, environment = storage
    monkeypatch.setattr(executions, "list_executions", lambda environment: iter(()))
    dead_letter(environment, queues[0], EVENT, "OverBudgetError: a run may cost 14.38 USD")
    for _ in range(2):  # the message is left where it is
        result = headrace("watch", "--wait-for-start", "0", on=cloud)
        assert result.status == 1
        assert "no run started; a message of birds was dead-lettered (" in result.err
        assert "OverBudgetError: a run may cost 14.38 USD" in result.err
        assert "hint: headrace redrive --list" in result.err
    assert count_set_aside(environment) == 1


def test_reasons_of_other_data_sets_and_old_reasons_are_not_reported(
    headrace: Headrace, storage: tuple[FakeCloud, Environment], queues: tuple[Queue, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another data set's message of 11 minutes before was given as the reason."""
    cloud, environment = storage
    monkeypatch.setattr(executions, "list_executions", lambda environment: iter(()))
    dead_letter(environment, queues[0], EVENT, "DataSetError: rawpets/cat/0.jpg has no checksum")
    time.sleep(0.01)
    now = datetime.now(UTC).isoformat()
    later = headrace("watch", "--after", now, "--wait-for-start", "0", on=cloud)
    foreign = headrace("watch", "--data-set", "pets", "--wait-for-start", "0", on=cloud)
    for result in (later, foreign):
        assert result.status == 1
        assert "no run started within 0 s" in result.err
        assert "checksum" not in result.err
    assert "hint: headrace run --again pets" in foreign.err
    own = headrace("watch", "--data-set", "birds", "--wait-for-start", "0", on=cloud)
    assert "a message of birds was dead-lettered (" in own.err
    assert "DataSetError: rawpets/cat/0.jpg has no checksum" in own.err


def test_more_messages_than_one_answer_holds_are_all_moved(
    headrace: Headrace, storage: tuple[FakeCloud, Environment], queues: tuple[Queue, ...]
) -> None:
    cloud, environment = storage
    for number in range(25):
        dead_letter(environment, queues[0], str(number))
    assert len(headrace("redrive", "--json", on=cloud).data) == 25


def test_listing_shows_what_and_why_and_leaves_them_there(
    headrace: Headrace, storage: tuple[FakeCloud, Environment], queues: tuple[Queue, ...]
) -> None:
    cloud, environment = storage
    dead_letter(environment, queues[0], EVENT)
    dead_letter(environment, queues[0], "no json", reason=None)
    for _ in range(2):
        result = headrace("redrive", "--list", "--json", on=cloud)
        assert sorted(result.data, key=lambda row: row["message"]) == [
            {"queue": "uploads", "message": "datasets/birds/1.jpg", "reason": REASON},
            {"queue": "uploads", "message": "no json", "reason": "failed too often; see the function's log"},
        ]
    assert len(bodies(environment, queues[0].dead_letters_url)) == 2


def test_a_message_that_fails_again_at_once_is_moved_once(
    headrace: Headrace,
    storage: tuple[FakeCloud, Environment],
    queues: tuple[Queue, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud, environment = storage
    dead_letter(environment, queues[0], "no json")
    move = redrive._move

    def move_and_fail(environment: Environment, queue: Queue, message: dict[str, Any]) -> None:
        move(environment, queue, message)
        dead_letter(environment, queue, message["Body"])

    monkeypatch.setattr(redrive, "_move", move_and_fail)
    assert len(headrace("redrive", "--json", on=cloud).data) == 1
