"""An SQS batch: every message on its own, and only those that failed come back.

Needs `ReportBatchItemFailures` on the event source mapping: without it the answer is ignored, and a failed message
would count as done.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

import log


class ItemFailure(TypedDict):
    itemIdentifier: str


class BatchResponse(TypedDict):
    batchItemFailures: list[ItemFailure]


def each(event: Mapping[str, Any], work: Callable[[str, str], None]) -> BatchResponse:
    """Call `work(message id, body)` for each message; a message whose work raises is the queue's to deliver again."""
    failures: list[ItemFailure] = []
    for record in event["Records"]:
        message_id = record["messageId"]
        try:
            work(message_id, record["body"])
        except Exception as problem:  # the job boundary: whatever it is, the other messages are not to suffer for it
            log.error("message failed", problem, message_id=message_id)
            failures.append({"itemIdentifier": message_id})
    return {"batchItemFailures": failures}
