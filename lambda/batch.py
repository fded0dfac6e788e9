"""An SQS batch: every message on its own, and only those that are to come again come back.

Needs `ReportBatchItemFailures` on the event source mapping: without it the answer is ignored, and a failed message
would count as done.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from botocore.exceptions import ClientError

import log
from aws import SqsClient, error_code
from refusals import HeadraceError

DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
FIRST_WAIT = 15  # seconds, then twice as long each time: with five receives 15, 30, 60 and 120
LONGEST_WAIT = 900
LONGEST_REASON = 1_000  # characters of a message's attribute; SQS counts them with the body
# What a message must not hold (SendMessage in the API reference): a reason may quote an object's key.
NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


@dataclass(frozen=True, slots=True)
class Queues:
    """Where the messages come from, and where those go that no repetition helps."""

    source_url: str
    dead_letters_url: str


def each(
    event: Mapping[str, Any], work: Callable[[str, str], None], *, sqs: Callable[[], SqsClient], queues: Queues
) -> BatchResponse:
    """Call `work(message id, body)` for each message.

    What raises is delivered again, later each time: services throttle and answers get lost. But a message that this
    function refuses, or for which it lacks a permission, fails the same way every time, so it goes to the dead-letter
    queue at once, where an alarm tells of it; the reason goes with it. `sqs` makes the client, which only a failure
    needs.
    """
    failures: list[ItemFailure] = []
    for record in event["Records"]:
        message_id = record["messageId"]
        with log.about(message_id=message_id):
            try:
                work(message_id, record["body"])
            except Exception as problem:  # the job boundary: the other messages are not to suffer, whatever it is
                log.error("message failed", problem)
                if not _set_aside(sqs(), queues, record, problem):
                    failures.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failures}


def _set_aside(sqs: SqsClient, queues: Queues, record: Mapping[str, Any], problem: Exception) -> bool:
    """Whether the message is done with here. If this fails too, it stays: the queue's own limit of receives holds."""
    try:
        if isinstance(problem, HeadraceError) or (isinstance(problem, ClientError) and error_code(problem) in DENIED):
            text = NOT_SENDABLE.sub("\ufffd", f"{type(problem).__name__}: {problem}"[:LONGEST_REASON])
            reason = {"DataType": "String", "StringValue": text}
            sqs.send_message(
                QueueUrl=queues.dead_letters_url, MessageBody=record["body"], MessageAttributes={"Reason": reason}
            )
            return True
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        sqs.change_message_visibility(
            QueueUrl=queues.source_url,
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=min(FIRST_WAIT * 2 ** (receives - 1), LONGEST_WAIT),
        )
    except ClientError as error:
        log.error("message not set aside", error)
    return False
