"""The data bucket: uploads, code, definition, manifests, runs, checkpoints and what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledged import AWS_SOLUTIONS, NIST, acknowledge
from infra.permission import allow
from infra.settings import Settings

CODE = "code/source.tar.gz"  # the archive that is in force; those under code/<hash>/ are what jobs read
NOTIFIED = ("datasets/", "pipelines/", CODE)
EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")


class DataBucket(Construct):
    """Private, encrypted with its own key, versioned, TLS only; changes of uploads and definition go to a queue."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, changes: sqs.Queue) -> None:
        super().__init__(scope, id)
        removal = RemovalPolicy.DESTROY if settings.destroys else RemovalPolicy.RETAIN
        self.key = kms.Key(
            self, "Key", description=f"{settings.name}: data", enable_key_rotation=True, removal_policy=removal
        )
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,  # one call to KMS for many objects: 100,000 images would cost as many calls
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            removal_policy=removal,
            lifecycle_rules=_lifecycle(),
        )
        assert self.bucket.policy
        self.bucket.policy.apply_removal_policy(removal)  # a bucket that stays is no less protected
        self._notify(changes)
        why = (
            "Who read or wrote which object is what CloudTrail's data events record, which an account switches on for "
            "all its buckets; server access logs are best effort and need a bucket of their own."
        )
        acknowledge(self.bucket, AWS_SOLUTIONS, "S1", why)
        acknowledge(self.bucket, NIST, "S3BucketLoggingEnabled", why)
        acknowledge(
            self.bucket,
            NIST,
            "S3BucketReplicationEnabled",
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

    def grant_delete(self, role: iam.Role, *prefixes: str) -> None:
        self._grant(role, ["s3:DeleteObject"], prefixes)

    def grant_list(self, role: iam.Role, *prefixes: str) -> None:
        """List under the prefixes; without any, list all, and be told "no such key" instead of "access denied"."""
        conditions = {"StringLike": {"s3:prefix": list(prefixes)}} if prefixes else {}
        allow(role, ["s3:ListBucket"], [self.bucket.bucket_arn], conditions=conditions)

    def grant_empty(self, role: iam.Role) -> None:
        """Delete every version of everything."""
        allow(role, ["s3:ListBucketVersions"], [self.bucket.bucket_arn])
        self._grant(role, ["s3:DeleteObject", "s3:DeleteObjectVersion"], ["*"])

    def reserve(self, *prefixes: str, to: Sequence[iam.Role]) -> None:
        """Nobody else writes there, whatever else they may do: what lies there is executed.

        An administrator can still change this policy, and so deploy and destroy.
        """
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"],
                resources=[self.bucket.arn_for_objects(prefix) for prefix in prefixes],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": [role.role_arn for role in to]}},
            )
        )

    def _grant(self, role: iam.Role, actions: Sequence[str], prefixes: Sequence[str]) -> None:
        resources = [self.bucket.arn_for_objects(prefix) for prefix in prefixes]
        allow(role, actions, resources, because="The objects under this prefix are not known before they are made.")

    def _grant_key(self, role: iam.Role, *actions: str) -> None:
        allow(role, actions, [self.key.key_arn])

    def _notify(self, changes: sqs.Queue) -> None:
        """Said in the bucket's own properties: CDK's way needs a second function, in Node, that has to be kept.

        S3 tests that it may write to the queue when the bucket is made, so the queue's policy comes first and cannot
        name the bucket; it names the account.
        """
        changes.add_to_resource_policy(
            iam.PolicyStatement(
                sid="BucketsOfThisAccountNotify",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[changes.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event=event,
                    queue=changes.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=prefix)]
                        )
                    ),
                )
                for prefix in NOTIFIED
                for event in EVENTS
            ]
        )
        self.bucket.node.add_dependency(changes.node.find_child("Policy"))


def _lifecycle() -> list[s3.LifecycleRule]:
    """Nothing under runs/ expires: registered models and cached steps point there. It only becomes cheaper to keep."""
    return [
        s3.LifecycleRule(
            id="runs-become-cheaper",
            prefix="runs/",
            transitions=[
                s3.Transition(storage_class=s3.StorageClass.INTELLIGENT_TIERING, transition_after=Duration.days(30))
            ],
        ),
        s3.LifecycleRule(id="checkpoints-expire", prefix="checkpoints/", expiration=Duration.days(60)),
        s3.LifecycleRule(id="markers-expire", prefix="quiet/", expiration=Duration.days(7)),
        s3.LifecycleRule(id="told-notices-expire", prefix="notices/", expiration=Duration.days(30)),
        s3.LifecycleRule(
            id="old-versions-expire",
            noncurrent_version_expiration=Duration.days(30),
            abort_incomplete_multipart_upload_after=Duration.days(7),
        ),
        s3.LifecycleRule(id="delete-markers-expire", expired_object_delete_marker=True),
    ]
