"""The notices that were sent, newest first: `headrace notices`.

The function that sends a notice leaves a record of it under notices/ (lambda/notify/publish.py), which is kept for 30
days. So they can be read without a subscription, and in the local cloud, which sends no e-mail.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from headrace.client.environment import Environment
from headrace.commands.command import command
from headrace.commands.parameters import COUNT
from headrace.errors import SetupError
from headrace.formats import counted, iso, when
from headrace.terminal.output import Output

PREFIX = "notices/"


@dataclass(frozen=True, slots=True)
class Notice:
    sent: datetime
    kind: str
    headline: str
    text: str  # the whole notice; empty for one that an older version has sent

    def as_data(self) -> dict[str, Any]:
        return {"sent": iso(self.sent), "kind": self.kind, "headline": self.headline, "text": self.text}


@dataclass(frozen=True, slots=True)
class Topic:
    """Where notices are sent, and who gets them: protocol and endpoint of each confirmed subscription."""

    arn: str
    subscribers: tuple[str, ...]


@command("notices", "With what happened and what to do about it. Also shows who is subscribed to them.")
@click.option("--limit", type=COUNT, default=10, metavar="N", help="how many; 0 for all (default: 10)")
def show_notices(environment: Environment, output: Output, *, limit: int) -> list[Notice]:
    """The command."""
    topic = read_topic(environment)
    notices, total = read_notices(environment, limit)
    now = datetime.now(UTC)
    if output.as_json:
        output.json([notice.as_data() for notice in notices])
    for number, notice in enumerate(notices if not output.as_json else []):
        if number:
            output.line("")
        output.line(f"{when(notice.sent, now)}  {notice.kind}")
        for line in (notice.text or notice.headline).splitlines():
            output.line(f"  {line}".rstrip())
    if not total:
        output.note("no notice was sent in the last 30 days")
    elif total > len(notices):
        command = environment.command("notices --limit 0")
        output.note(f"the newest {len(notices)} of {counted(total, 'notice')}: {command} shows all")
    to = ", ".join(topic.subscribers) or "nobody is subscribed"
    output.note(f"notices go to the topic {topic.arn}: {to}")
    if not topic.subscribers and environment.running is None:
        subscribe = f"aws sns subscribe --topic-arn {topic.arn} --protocol email --notification-endpoint ADDRESS"
        output.next(subscribe, "or notice_emails in environments.toml, which a deployment subscribes")
    else:
        output.next(environment.command("status"))
    return notices


def read_notices(environment: Environment, limit: int) -> tuple[list[Notice], int]:
    """The newest `limit` notices (0: all of them), and how many there are."""
    bucket = _output(environment, "NoticeBucketName", "DataBucketName")
    client = environment.client("s3")
    with environment.doing(f"listing the notices in s3://{bucket}/{PREFIX}"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
        found = [item for page in pages for item in page.get("Contents", [])]
    newest = sorted(found, key=lambda item: (item["LastModified"], item["Key"]), reverse=True)[: limit or None]

    def read(item: dict[str, Any]) -> Notice:
        with environment.doing(f"reading the notice s3://{bucket}/{item['Key']}"):
            content = json.loads(client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
        return Notice(item["LastModified"], content["kind"], content["headline"], content.get("text", ""))

    with ThreadPoolExecutor(8, thread_name_prefix="notices") as pool:
        return list(pool.map(read, newest)), len(found)


def read_topic(environment: Environment) -> Topic:
    arn = _output(environment, "NoticeTopicArn")
    with environment.doing(f"listing the subscriptions of {arn}"):
        pages = environment.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        found = [item for page in pages for item in page["Subscriptions"]]
    confirmed = [item for item in found if item["SubscriptionArn"] != "PendingConfirmation"]
    return Topic(arn, tuple(sorted(f"{item['Protocol']} {item['Endpoint']}" for item in confirmed)))


def _output(environment: Environment, *names: str) -> str:
    """The first of these outputs that the stack has."""
    found = environment.find_stack(environment.stack.name) or {}
    outputs = {output["OutputKey"]: str(output["OutputValue"]) for output in found.get("Outputs", [])}
    for name in names:
        if name in outputs:
            return outputs[name]
    raise SetupError(
        f"the stack {environment.stack.name} has no output {names[0]}: it was deployed from another version",
        hint=environment.deploy_command,
    )
