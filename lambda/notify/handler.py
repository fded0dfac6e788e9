"""SQS → SNS: publish one notice for each event, with what people need to act."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from notify.environment import Environment
from notify.messages import Ignored, parse
from notify.notify import notify
from shared import aws, log, sqs_batch


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> sqs_batch.BatchResponse:
    with log.context(request_id=context.aws_request_id):
        return handle_batch(event, Environment.from_variables(os.environ), aws.client)


def handle_batch(
    event: Mapping[str, Any], environment: Environment, client: Callable[[str], Any]
) -> sqs_batch.BatchResponse:
    def work(message_id: str, body: str) -> None:
        message = parse(
            body,
            pipelines=[line.pipeline for line in environment.of_every_line],
            model_package_groups=[line.model_package_group for line in environment.of_every_line],
            endpoints=[line.endpoint for line in environment.of_every_line],
        )
        if isinstance(message, Ignored):
            log.info("ignored", reason=message.reason)
        else:
            notify(message, environment, client)

    queues = sqs_batch.Queues(environment.queue_url, environment.dead_letter_queue_url)
    return sqs_batch.process_records(event, work, sqs=lambda: client("sqs"), queues=queues)
