"""SQS → SageMaker: start the pipeline when an upload has ended, and upsert a definition put under pipelines/."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared import aws, log, sqs_batch
from start_pipeline.environment import Environment
from start_pipeline.messages import parse
from start_pipeline.trigger import act


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> sqs_batch.BatchResponse:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    with log.context(request_id=context.aws_request_id):
        environment = Environment.from_variables(os.environ)
        return handle_batch(event, environment, aws.client, clock=time.time, seconds_left=seconds_left)


def handle_batch(
    event: Mapping[str, Any],
    environment: Environment,
    client: Callable[[str], Any],
    *,
    clock: Callable[[], float],
    seconds_left: Callable[[], float],
) -> sqs_batch.BatchResponse:
    def work(message_id: str, body: str) -> None:
        bucket, keys = environment.data_bucket, environment.definition_keys
        for message in parse(body, message_id=message_id, bucket=bucket, definition_keys=keys):
            act(message, message_id, environment, client, now=clock(), seconds_left=seconds_left)

    queues = sqs_batch.Queues(environment.queue_url, environment.dead_letter_queue_url, environment.notices_queue_url)
    return sqs_batch.process_records(event, work, sqs=lambda: client("sqs"), queues=queues)
