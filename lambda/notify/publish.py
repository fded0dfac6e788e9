"""Publish a notice once: first publish it, then write a marker object that records it.

In this order no notice is lost: if the function dies in between, the retry publishes it again. Two workers at the same
moment can both publish it; a duplicate is better than a lost notice. Markers expire (infra/data/data_bucket.py).
"""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from notify.environment import Environment
from notify.notice import Notice
from shared import log
from shared.aws import NOT_FOUND, S3Client, error_code
from shared.hashing import digest

SnsClient: TypeAlias = Any

# Counted here, where each event is published once; the functions may detect one event several times.
METRICS = {
    "execution-failed": "ExecutionsFailed",
    "gate-refused": "GateRefused",
    "definition-refused": "DefinitionsRefused",
    "deployed": "Deployments",
    "artifact-refused": "ArtifactsRefused",
    "rolled-back": "Rollbacks",
}


def marker_key(kind: str, state: list[str]) -> str:
    return f"notices/{digest([kind, state])}.json"


def is_sent(s3: S3Client, environment: Environment, key: str) -> bool:
    try:
        s3.head_object(Bucket=environment.data_bucket, Key=key)
    except ClientError as error:
        if error_code(error) in NOT_FOUND:
            return False
        raise
    return True


def publish(sns: SnsClient, s3: S3Client, environment: Environment, notice: Notice, key: str) -> None:
    """Subscribers can filter by the attributes `kind`, `environment` and, for declared model lines, `line`."""
    line = {"line": environment.line} if environment.line else {}
    attributes = {"kind": notice.kind, "environment": environment.name, **line}
    answer = sns.publish(
        TopicArn=environment.topic_arn,
        Subject=notice.subject(environment.label),
        Message=notice.message(environment.name, line=environment.line),
        MessageStructure="json",
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )
    fields = {"kind": notice.kind, "headline": notice.headline, "sns_message": answer["MessageId"]}
    if notice.kind in METRICS:
        log.metric("notice sent", {METRICS[notice.kind]: 1}, **fields)
    else:
        log.info("notice sent", **fields)
    try:
        s3.put_object(
            Bucket=environment.data_bucket,
            Key=key,
            Body=json.dumps(fields | {"text": notice.text()}).encode(),  # `headrace notices` shows it
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        # Another worker has published it at the same moment; its marker, or the one that it will write, is enough.
        if error_code(error) not in {"PreconditionFailed", "ConditionalRequestConflict"}:
            raise
