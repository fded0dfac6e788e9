"""SQS → SageMaker: after a model version is approved or rejected, bring the endpoint to serve the champion."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from deploy_model.drift import check_periodically
from deploy_model.endpoint import serve_champion
from deploy_model.environment import Environment
from deploy_model.messages import Ignored, ModelDecided, PeriodicCheck, parse
from shared import aws, log, sqs_batch


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> sqs_batch.BatchResponse:
    with log.context(request_id=context.aws_request_id):
        return handle_batch(event, Environment.from_variables(os.environ), aws.client)


def handle_batch(
    event: Mapping[str, Any], environment: Environment, client: Callable[[str], Any]
) -> sqs_batch.BatchResponse:
    group_arns = {line.line: line.model_package_group_arn for line in environment.of_every_line}

    def clients() -> tuple[Any, Any, Any, Any]:
        return client("sagemaker"), client("sagemaker-runtime"), client("s3"), client("sqs")

    def work(message_id: str, body: str) -> None:
        message = parse(body, group_arns=group_arns)
        if isinstance(message, Ignored):
            log.info("ignored", reason=message.reason)
            return
        if isinstance(message, PeriodicCheck):
            lines = environment.of_every_line if message.line is None else [environment.of_line(message.line)]
            for line in lines:
                check_periodically(*clients(), line, message)
            return
        log.append_keys(execution=message.execution, **({"line": message.line} if message.line else {}))
        if isinstance(message, ModelDecided):
            log.info("model decided", model_package=message.model_package_arn, status=message.approval_status)
        serve_champion(*clients(), environment.of_line(message.line), message)

    queues = sqs_batch.Queues(environment.queue_url, environment.dead_letter_queue_url, environment.notices_queue_url)
    return sqs_batch.process_records(event, work, sqs=lambda: client("sqs"), queues=queues)
