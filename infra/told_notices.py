"""What is remembered of notices, so that each is told once (lambda/notify/publish.py)."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.private_bucket import PrivateBucket

TOLD_NOTICES_EXPIRE = s3.LifecycleRule(id="told-notices-expire", prefix="notices/", expiration=Duration.days(30))


class ToldNotices(PrivateBucket):
    """The bucket of an environment that has no data bucket to remember them in; nothing in it is worth keeping."""

    def __init__(self, scope: Construct, id: str, *, key: kms.Key) -> None:
        super().__init__(
            scope,
            id,
            description="told notices",
            removal=RemovalPolicy.DESTROY,
            lifecycle_rules=[TOLD_NOTICES_EXPIRE],
            key=key,
        )
