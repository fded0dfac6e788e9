"""What a function has to tell people goes to the notices queue; the function `notify` words it and sends it."""

import json

from shared.aws import SqsClient


def send(sqs: SqsClient, queue_url: str, kind: str, **fields: object) -> None:
    """The kinds and their fields are those that `notify.messages` reads."""
    sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({"headrace": "notice", "kind": kind, **fields}))
