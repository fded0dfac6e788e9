"""`headrace redrive`: dead-lettered messages go back to the queue that they came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import click

from headrace.client.environment import Environment, Queue
from headrace.commands.command import command
from headrace.terminal.output import Output

COLUMNS = ("queue", "message", "reason")
HIDDEN_SECONDS = 600  # for which others do not see a message that was received; it is moved or left before that
SHOWN = 100  # characters of a message


@command(
    "redrive", "Messages that a function could not process lie in dead-letter queues, with the reason. Shows them, "
    "and moves them back to where they came from.",
)  # fmt: skip
@click.option("--list", "list_only", is_flag=True, help="only show them")
def redrive(environment: Environment, output: Output, *, list_only: bool) -> None:
    """Move every message of the dead-letter queues, or only show them.

    SQS's own StartMessageMoveTask would do for the move, but it does not report what it moves and why.
    """
    found = _read(environment)
    with environment.doing("putting the messages back" if list_only else "sending the messages again"):
        for queue, message in found:
            if list_only:
                _leave(environment, queue, message)
            else:
                _move(environment, queue, message)
    rows = [(queue.name, _shown(message["Body"]), _reason(message)) for queue, message in found]
    if rows or output.as_json:
        output.table(COLUMNS, rows, [dict(zip(COLUMNS, row, strict=True)) for row in rows])
    if not rows:
        output.note("the dead-letter queues are empty")
    elif list_only:
        output.next(environment.command("redrive"), "once the cause is fixed")
    else:
        output.note(f"{len(rows)} sent again")
        output.next(environment.command("status"))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message of a dead-letter queue: why it lies there, which data sets it concerns, and when it was sent there."""

    reason: str
    data_sets: frozenset[str]
    sent: datetime


def find_dead_letters(environment: Environment, *, since: datetime, data_set: str | None) -> list[DeadLetter]:
    """Those that came since a moment and concern one data set, or any; the oldest first. They are left as they are."""
    found = _read(environment)
    with environment.doing("putting the messages back"):
        for queue, message in found:
            _leave(environment, queue, message)
    letters = [DeadLetter(_reason(message), _data_sets(message["Body"]), _sent(message)) for _, message in found]
    wanted = [item for item in letters if item.sent >= since and (data_set is None or data_set in item.data_sets)]
    return sorted(wanted, key=lambda item: item.sent)


def count_set_aside(environment: Environment) -> int:
    """As many as SQS thinks; without receiving them."""
    sqs = environment.client("sqs")
    with environment.doing("counting the dead-lettered messages"):
        answers = [
            sqs.get_queue_attributes(QueueUrl=queue.dead_letters_url, AttributeNames=["ApproximateNumberOfMessages"])
            for queue in environment.stack.queues
        ]
    return sum(int(answer["Attributes"]["ApproximateNumberOfMessages"]) for answer in answers)


def _read(environment: Environment) -> list[tuple[Queue, dict[str, Any]]]:
    """Read everything before moving anything: a message that fails again at once would be read in an endless loop."""
    with environment.doing("reading the dead-letter queues"):
        return [(queue, message) for queue in environment.stack.queues for message in _messages(environment, queue)]


def _messages(environment: Environment, queue: Queue) -> Iterator[dict[str, Any]]:
    sqs = environment.client("sqs")
    seen: set[str] = set()
    while True:
        answer = sqs.receive_message(
            QueueUrl=queue.dead_letters_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=1,  # without it SQS asks only some of its servers
        )
        new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
        if not new:
            return
        seen.update(message["MessageId"] for message in new)
        yield from new


def _move(environment: Environment, queue: Queue, message: dict[str, Any]) -> None:
    """Sent before it is deleted: twice does no harm, lost would."""
    sqs = environment.client("sqs")
    sqs.send_message(QueueUrl=queue.url, MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=queue.dead_letters_url, ReceiptHandle=message["ReceiptHandle"])


def _leave(environment: Environment, queue: Queue, message: dict[str, Any]) -> None:
    environment.client("sqs").change_message_visibility(
        QueueUrl=queue.dead_letters_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )


def _reason(message: dict[str, Any]) -> str:
    """What the function said; none where the queue's own limit of receives was reached."""
    said = message.get("MessageAttributes", {}).get("Reason", {}).get("StringValue")
    return " ".join(said.split()) if said else "failed too often; see the function's log"


def _sent(message: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)


def _data_sets(body: str) -> frozenset[str]:
    """The data sets that a message names itself, or by the keys of a notification of S3."""
    try:
        content = json.loads(body)
        if isinstance(content.get("data_set"), str):
            return frozenset({content["data_set"]})
        keys = [unquote_plus(record["s3"]["object"]["key"]) for record in content.get("Records", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return frozenset()
    return frozenset(key.split("/")[1] for key in keys if key.startswith("datasets/"))


def _shown(body: str) -> str:
    """The keys that a notification of S3 names, or the message itself."""
    try:
        content = json.loads(body)
        return ", ".join(record["s3"]["object"]["key"] for record in content["Records"])[:SHOWN]
    except (ValueError, KeyError, TypeError):
        return body[:SHOWN]
