"""Markers of notices that were sent, so that each is sent once (lambda/notify/publish.py)."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.parts.private_bucket import PrivateBucket

SENT_MARKERS_EXPIRE = s3.LifecycleRule(id="sent-markers-expire", prefix="notices/", expiration=Duration.days(30))


class SentMarkers(PrivateBucket):
    """The bucket for the markers of an environment without a data bucket; nothing in it needs to be kept."""

    def __init__(self, scope: Construct, id: str, *, key: kms.Key) -> None:
        super().__init__(
            scope,
            id,
            description="markers of notices that were sent",
            removal=RemovalPolicy.DESTROY,
            lifecycle_rules=[SENT_MARKERS_EXPIRE],
            key=key,
        )
