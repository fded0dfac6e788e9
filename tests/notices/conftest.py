"""Each test causes a notice and hands what a subscriber received to `entry`, which compares it with docs/notices.md.

`python -m pytest tests/notices --write-notices` writes the document instead.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from local_cloud_in_use import bucket, cloud, connect, role
from notices_document import DOCUMENT, Entry, document, documented
from pipeline_runs import BUCKET
from received_notices import receive_batch, subscribe_queue

from notify.environment import Environment
from notify.handler import handle_batch

__all__ = ["bucket", "cloud", "connect", "role"]  # fixtures of this folder, beside those below

NAME = "headrace-prod"
WRITTEN = pytest.StashKey[list[Entry]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-notices", action="store_true", help="write docs/notices.md from what the tests receive")


def pytest_configure(config: pytest.Config) -> None:
    partly = config.option.keyword or config.option.deselect or config.getoption("numprocesses", default=None)
    if partly and config.getoption("write_notices", default=False):
        raise pytest.UsageError("--write-notices needs all of tests/notices, in one process")


def pytest_sessionfinish(session: pytest.Session) -> None:
    entries = session.config.stash.get(WRITTEN, [])
    if entries and session.testsfailed == 0:
        DOCUMENT.write_text(document(entries), "utf-8")


@dataclass(frozen=True, slots=True)
class Told:
    """A topic of a real local cloud with its subscriber, and the queue that the function for notices reads."""

    connect: Callable[[str], Any]
    environment: Environment
    queue: str
    subscriber: str

    def by(self, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """SNS's envelope and the notice in it, of what a message has reported."""
        self._handle(json.dumps(body))
        ((envelope, notice),) = receive_batch(self.connect("sqs"), self.subscriber)
        return envelope, notice

    def by_what_happened(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The same, of the events and alarms that have come to the queue by themselves."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = self.connect("sqs").receive_message(QueueUrl=self.queue, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                self.connect("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                self._handle(message["Body"])
            if received := receive_batch(self.connect("sqs"), self.subscriber):
                (one,) = received
                return one
        raise AssertionError("nothing was sent")

    def _handle(self, body: str) -> None:
        event = {"Records": [{"messageId": "m", "body": body}]}
        assert handle_batch(event, self.environment, self.connect) == {"batchItemFailures": []}


@pytest.fixture(scope="session")
def told(connect: Callable[[str], Any], bucket: str) -> Told:
    sns, sqs = connect("sns"), connect("sqs")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    queue = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    services = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
    allow = {"Effect": "Allow", "Principal": services, "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    connect("events").put_rule(Name="notices", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    connect("events").put_targets(Rule="notices", Targets=[{"Id": "queue", "Arn": arn}])
    command = "headrace --env prod"
    environment = Environment("prod", "unused", "unused", topic, BUCKET, NAME, NAME, NAME, command, command)
    return Told(connect, environment, queue, subscribe_queue(sqs, sns, topic))


@pytest.fixture
def entry(request: pytest.FixtureRequest) -> Callable[[str, tuple[dict[str, Any], dict[str, Any]]], None]:
    """Compares what was received with the document; `when` says when it is sent."""
    writing = request.config.getoption("write_notices", default=False)

    def check(when: str, received: tuple[dict[str, Any], dict[str, Any]]) -> None:
        envelope, notice = received
        assert envelope["MessageAttributes"]["kind"]["Value"] == notice["kind"]
        found = Entry(notice["kind"], when, envelope["Subject"], notice["text"], notice)
        if writing:
            request.config.stash.setdefault(WRITTEN, []).append(found)
        else:
            sections = documented().get(notice["kind"], set())
            assert found.section in sections, f"{DOCUMENT} says otherwise; --write-notices"

    return check
