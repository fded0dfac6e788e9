"""A bucket that nobody reaches but by what is granted here."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.parts.grants import Grantee, allow
from infra.parts.nag import AWS_SOLUTIONS, NIST, acknowledge


class PrivateBucket(Construct):
    """Private, encrypted with `key` or with a new key, versioned, TLS only."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        description: str,
        removal: RemovalPolicy,
        lifecycle_rules: Sequence[s3.LifecycleRule],
        key: kms.IKey | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.key = key or kms.Key(
            self, "Key", description=description, enable_key_rotation=True, removal_policy=removal
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,  # without it 100,000 images would cost 100,000 calls to KMS
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            removal_policy=removal,
            lifecycle_rules=[*lifecycle_rules, *_old_versions_expire()],
        )
        assert self.bucket.policy
        self.bucket.policy.apply_removal_policy(removal)  # a retained bucket keeps its policy
        acknowledge_one_copy(
            self.bucket,
            "Versioning keeps what was overwritten or deleted for 30 days. A copy in a second region doubles the cost "
            "of storage: a team whose data has to survive the loss of a region adds it.",
        )

    def grant_read(self, role: iam.Role, *prefixes: str) -> None:
        self._grant(role, ["s3:GetObject"], prefixes)
        self._grant_key(role, "kms:Decrypt")

    def grant_write(self, role: iam.Role, *prefixes: str) -> None:
        self._grant(role, ["s3:PutObject"], prefixes)
        self._grant_key(role, "kms:GenerateDataKey")

    def grant_upload_results(self, role: iam.Role, *prefixes: str) -> None:
        """Write as SageMaker does: in parts, and naming the key, for which its guide asks for `kms:Encrypt` as well."""
        self._grant(role, ["s3:PutObject", "s3:AbortMultipartUpload"], prefixes)
        self._grant_key(role, "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")

    def grant_delete(self, role: Grantee, *prefixes: str) -> None:
        self._grant(role, ["s3:DeleteObject"], prefixes)

    def grant_delete_versions(self, role: Grantee, *prefixes: str) -> None:
        """For good, by version."""
        self._grant(role, ["s3:DeleteObjectVersion"], prefixes)

    def grant_list(self, role: iam.Role, *prefixes: str) -> None:
        """Allow listing under the prefixes, or all without any: S3 then answers "no such key", not "access denied"."""
        conditions = {"StringLike": {"s3:prefix": list(prefixes)}} if prefixes else {}
        allow(role, ["s3:ListBucket"], [self.bucket.bucket_arn], conditions=conditions)

    def grant_empty(self, role: iam.Role) -> None:
        """Delete every version of everything."""
        allow(role, ["s3:ListBucketVersions"], [self.bucket.bucket_arn])
        self._grant(role, ["s3:DeleteObject", "s3:DeleteObjectVersion"], ["*"])

    def _grant(self, role: Grantee, actions: Sequence[str], prefixes: Sequence[str]) -> None:
        resources = [self.bucket.arn_for_objects(prefix) for prefix in prefixes]
        allow(role, actions, resources, because="The objects under this prefix are not known before they are made.")

    def _grant_key(self, role: iam.Role, *actions: str) -> None:
        allow(role, actions, [self.key.key_arn])


def acknowledge_one_copy(bucket: s3.Bucket, why: str) -> None:
    """The bucket has no access logs, and `why` is the reason for which it has no replica."""
    logged = (
        "CloudTrail's data events record who read or wrote which object; an account enables them for all its buckets. "
        "Server access logs are best effort and need a separate bucket."
    )
    acknowledge(bucket, AWS_SOLUTIONS, "S1", logged)
    acknowledge(bucket, NIST, "S3BucketLoggingEnabled", logged)
    acknowledge(bucket, NIST, "S3BucketReplicationEnabled", why)


def _old_versions_expire() -> list[s3.LifecycleRule]:
    return [
        s3.LifecycleRule(
            id="old-versions-expire",
            noncurrent_version_expiration=Duration.days(30),
            abort_incomplete_multipart_upload_after=Duration.days(7),
        ),
        s3.LifecycleRule(id="delete-markers-expire", expired_object_delete_marker=True),
    ]
