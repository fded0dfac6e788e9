"""Process an SQS batch message by message, and report the messages that have to be received again.

The event source mapping needs `ReportBatchItemFailures`: without it Lambda ignores the answer and deletes failed
messages as well.
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
MAX_WAIT = 900
MAX_REASON = 1_000  # characters of a message's attribute; SQS counts them with the body
MAX_SUMMARY = 500  # characters of a message in its notice
HAVE_NOTICES = (OverBudgetError, RunLimitError)  # the function has sent a notice before it raises these
# Characters that SendMessage rejects (API reference): a reason may quote an object's key.
NOT_SENDABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


@dataclass(frozen=True, slots=True)
class Queues:
    """The source queue, its dead-letter queue, and the queue of notices.

    `notify` has no `notices_url`: it reads that queue itself, and a notice about a failed notice could fail as well.
    """

    source_url: str
    dead_letters_url: str
    notices_url: str | None = None


def process_records(
    event: Mapping[str, Any], work: Callable[[str, str], None], *, sqs: Callable[[], SqsClient], queues: Queues
) -> BatchResponse:
    """Call `work(message id, body)` for each message.

    A message whose work raises is received again, after a longer wait each time: services throttle and answers get
    lost. A message that this function refuses, or for which it lacks a permission, would fail every time. It goes to
    the dead-letter queue at once, with the reason as an attribute. A notice reports each of them, because the alarm on
    that queue reports only the first. `sqs` makes the client, which only a failure needs.
    """
    failures: list[ItemFailure] = []
    for record in event["Records"]:
        message_id = record["messageId"]
        with log.context(message_id=message_id):
            try:
                work(message_id, record["body"])
            except Exception as problem:  # the job boundary: no failure may affect the other messages
                log.error("message failed", problem)
                if not _settle(sqs(), queues, record, problem):
                    failures.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failures}


def _settle(sqs: SqsClient, queues: Queues, record: Mapping[str, Any], problem: Exception) -> bool:
    """Whether the message was sent to the dead-letter queue. If not, it stays: maxReceiveCount limits its receives."""
    try:
        if isinstance(problem, HeadraceError) or (isinstance(problem, ClientError) and error_code(problem) in DENIED):
            _send_to_dlq(sqs, queues, record, problem)
            return True
        _delay_next_receive(sqs, queues, record)
    except ClientError as error:
        log.error("message neither dead-lettered nor delayed", error)
    return False


def _send_to_dlq(sqs: SqsClient, queues: Queues, record: Mapping[str, Any], problem: Exception) -> None:
    text = NOT_SENDABLE.sub("\ufffd", f"{type(problem).__name__}: {problem}"[:MAX_REASON])
    reason = {"DataType": "String", "StringValue": text}
    sqs.send_message(QueueUrl=queues.dead_letters_url, MessageBody=record["body"], MessageAttributes={"Reason": reason})
    if queues.notices_url is not None and not isinstance(problem, HAVE_NOTICES):
        _send_notice(sqs, queues.notices_url, queues, record, text)


def _delay_next_receive(sqs: SqsClient, queues: Queues, record: Mapping[str, Any]) -> None:
    receives = int(record["attributes"]["ApproximateReceiveCount"])
    sqs.change_message_visibility(
        QueueUrl=queues.source_url,
        ReceiptHandle=record["receiptHandle"],
        VisibilityTimeout=min(FIRST_WAIT * 2 ** (receives - 1), MAX_WAIT),
    )


def _send_notice(sqs: SqsClient, notices_url: str, queues: Queues, record: Mapping[str, Any], reason: str) -> None:
    """Failures are only logged: the message is in the dead-letter queue, and must not be received again."""
    try:
        notice_queue.send(
            sqs,
            notices_url,
            "set-aside",
            queue=queues.dead_letters_url.rpartition("/")[2],
            message_id=record["messageId"],
            message=NOT_SENDABLE.sub("\ufffd", _summary(record["body"]))[:MAX_SUMMARY],
            reason=reason,
        )
    except (ClientError, BotoCoreError) as error:
        log.error("no notice was sent of the dead-lettered message", error)


def _summary(body: str) -> str:
    """The object keys in an S3 notification; any other message unchanged."""
    try:
        return ", ".join(unquote_plus(record["s3"]["object"]["key"]) for record in json.loads(body)["Records"])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return body
