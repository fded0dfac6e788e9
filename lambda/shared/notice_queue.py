"""Queue a notice for people. The function `notify` writes its text and publishes it."""

import json

from shared.aws import SqsClient


def send(sqs: SqsClient, queue_url: str, kind: str, **fields: object) -> None:
    """Send the fields of a notice of this kind; `notify/messages.py` lists the kinds and their fields."""
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"headrace": "notice", "kind": kind, **fields}))
