"""A queue subscribed to the notices' topic, and what it has received."""

from __future__ import annotations

import json
import time
from typing import Any

from headrace.client.environment import Environment


def subscribe(environment: Environment) -> str:
    """The URL of a new queue that the environment's notices are delivered to."""
    stack = environment.client("cloudformation").describe_stacks(StackName=environment.stack_name)["Stacks"][0]
    topic = next(item["OutputValue"] for item in stack["Outputs"] if item["OutputKey"] == "NoticeTopicArn")
    return subscribe_queue(environment.client("sqs"), environment.client("sns"), topic)


def subscribe_queue(sqs: Any, sns: Any, topic: str) -> str:
    url: str = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def receive(environment: Environment, url: str, *, until: set[str], seconds: float = 60) -> list[dict[str, Any]]:
    """All notices received so far, at the latest when one of each of these kinds is among them."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + seconds
    while not until <= {notice["kind"] for notice in found}:
        assert time.monotonic() < deadline, f"received only {[notice['headline'] for notice in found]}"
        found += [notice for _, notice in receive_batch(environment.client("sqs"), url)]
    return found


def receive_batch(sqs: Any, url: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """SNS's envelopes and the notices in them, as they come."""
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    envelopes = [json.loads(message["Body"]) for message in messages]
    return [(envelope, json.loads(envelope["Message"])) for envelope in envelopes]
