"""An SQS batch: every message on its own, and only those that are to come again come back.

Needs `ReportBatchItemFailures` on the event source mapping: without it the answer is ignored, and a failed message
would count as done.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from shared import log, notice_queue
from shared.aws import SqsClient, error_code
from shared.errors import HeadraceError, OverBudgetError, RunLimitError

DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
FIRST_WAIT = 15  # seconds, then twice as long each time: with five receives 15, 30, 60 and 120
LONGEST_WAIT = 900
LONGEST_REASON = 1_000  # characters of a message's attribute; SQS counts them with the body
LONGEST_SUMMARY = 500  # characters of a message in the notice of it
HAVE_NOTICES = (OverBudgetError, RunLimitError)  # that the function sends itself, before it raises them
# What a message must not hold (SendMessage in the API reference): a reason may quote an object's key.
NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


@dataclass(frozen=True, slots=True)
class Queues:
    """Where the messages come from, where those go that no repetition helps, and where each of these is told.

    The function that tells people has no `notices_url`: it would have to tell of itself.
    """

    source_url: str
    dead_letters_url: str
    notices_url: str | None = None


def each(
    event: Mapping[str, Any], work: Callable[[str, str], None], *, sqs: Callable[[], SqsClient], queues: Queues
) -> BatchResponse:
    """Call `work(message id, body)` for each message.

    What raises is delivered again, later each time: services throttle and answers get lost. But a message that this
    function refuses, or for which it lacks a permission, fails the same way every time, so it goes to the dead-letter
    queue at once; the reason goes with it, and a notice tells of it, as the alarm on that queue speaks of the first
    only. `sqs` makes the client, which only a failure needs.
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
            if queues.notices_url is not None and not isinstance(problem, HAVE_NOTICES):
                _tell(sqs, queues.notices_url, queues, record, text)
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


def _tell(sqs: SqsClient, notices_url: str, queues: Queues, record: Mapping[str, Any], reason: str) -> None:
    """A failure here is only logged: the message is set aside, and must not come again for want of a notice."""
    try:
        notice_queue.send(
            sqs,
            notices_url,
            "set-aside",
            queue=queues.dead_letters_url.rpartition("/")[2],
            message_id=record["messageId"],
            message=NOT_SENDABLE.sub("\ufffd", _summary(record["body"]))[:LONGEST_SUMMARY],
            reason=reason,
        )
    except (ClientError, BotoCoreError) as error:
        log.error("nobody is told of the message set aside", error)


def _summary(body: str) -> str:
    """The keys of the objects that a notification of S3 is about; any other message as it is."""
    try:
        return ", ".join(unquote_plus(record["s3"]["object"]["key"]) for record in json.loads(body)["Records"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return body
