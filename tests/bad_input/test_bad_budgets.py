"""Runs that may cost more than they should, or are too many: the real function, against a local cloud, starts none."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from pipeline_runs import BUCKET, IMAGE, definition, processing_step

from start_pipeline.environment import Environment
from start_pipeline.handler import handle_batch
from start_pipeline.runs.run_limits import STARTS

SECTION = "Runs that cost too much"
SEEN = "`headrace redrive --list`, log of start_pipeline; nothing is started, and the message is kept"
NAME = "bad-budgets"

Connect = Callable[[str], Any]


def refusal_of(connect: Connect, role: str, **variables: str) -> str:
    """The reason that goes with the message into the dead-letter queue; the job has no limit but a day."""
    s3, sqs = connect("s3"), connect("sqs")
    queues = [sqs.create_queue(QueueName=f"{NAME}-{kind}")["QueueUrl"] for kind in ("uploads", "dead", "notices")]
    environment = Environment.from_variables({
        "DATA_BUCKET": BUCKET, "PIPELINE_NAME": NAME, "PIPELINE_ROLE_ARN": role, "QUEUE_URL": queues[0],
        "DEAD_LETTER_QUEUE_URL": queues[1], "NOTICES_QUEUE_URL": queues[2], "QUIET_SECONDS": "0",
        "BINDINGS": json.dumps({
            "DataBucket": BUCKET, "JobRoleArn": role, "TrainingImage": IMAGE,
            "Region": "us-east-1", "Account": "000000000000",
        }),
    } | variables)  # fmt: skip
    pipeline = definition(processing_step("Preprocess", "${headrace:JobRoleArn}", "true"))
    s3.put_object(Bucket=BUCKET, Key=environment.definition_key, Body=pipeline.encode())
    s3.put_object(Bucket=BUCKET, Key="datasets/dear/a/1.jpg", Body=b"1", ChecksumAlgorithm="CRC32")
    body = json.dumps({"headrace": "check", "data_set": "dear", "sent": 0})
    message = {"messageId": "m", "receiptHandle": "m", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
    done = handle_batch(
        {"Records": [message]}, environment, connect, clock=lambda: time.time() + 60, seconds_left=lambda: 60.0
    )
    assert done == {"batchItemFailures": []}
    assert connect("sagemaker").list_pipeline_executions(PipelineName=NAME)["PipelineExecutionSummaries"] == []
    answer = sqs.receive_message(QueueUrl=queues[1], MessageAttributeNames=["All"], WaitTimeSeconds=1)
    (letter,) = answer["Messages"]
    sqs.delete_message(QueueUrl=queues[1], ReceiptHandle=letter["ReceiptHandle"])
    assert letter["Body"] == body
    return str(letter["MessageAttributes"]["Reason"]["StringValue"])


def test_a_run_above_the_limit(row: Callable[..., None], connect: Connect, role: str) -> None:
    said = refusal_of(connect, role, MAX_RUN_COST="1.5", PRICES='{"ml.m5.large": 0.115}')
    row("an upload whose run may cost more than `max_run_cost`", SEEN, said)


def test_a_run_on_an_instance_without_a_price(row: Callable[..., None], connect: Connect, role: str) -> None:
    said = refusal_of(connect, role, MAX_RUN_COST="1.5", PRICES='{"ml.m5.xlarge": 0.23}')
    row("an upload whose run needs an instance type that prices.toml does not have", SEEN, said)


def test_more_runs_than_a_day_may_have(row: Callable[..., None], connect: Connect, role: str) -> None:
    starts = json.dumps({"starts": [["another", time.time(), None, False]]}).encode()
    connect("s3").put_object(Bucket=BUCKET, Key=STARTS, Body=starts)
    said = refusal_of(connect, role, MAX_RUNS_PER_DAY="1")
    connect("s3").delete_object(Bucket=BUCKET, Key=STARTS)
    said = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2027-01-16 08:00 UTC", said)
    row("an upload after as many runs in 24 hours as `max_runs_per_day`", SEEN, said)
