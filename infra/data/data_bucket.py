"""The data bucket: uploads, code, definition, manifests, runs, checkpoints and what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Aws, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.data.sent_markers import SENT_MARKERS_EXPIRE
from infra.parts.private_bucket import PrivateBucket

CODE = "code/source.tar.gz"  # the archive that is in force; those under code/<hash>/ are what jobs read
NOTIFIED = ("datasets/", "pipelines/", CODE)
EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
RUNS = "runs/*"
MODELS = "models/*"  # the artifacts of registered versions: lambda/shared/stored_model.py


class DataBucket(PrivateBucket):
    """Changes of uploads and definition go to a queue."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        project: str,
        destroys: bool,
        key_arn: str | None,
        changes: sqs.Queue,
    ) -> None:
        """The names of all buckets of environments begin with `project`. `destroys`: the data goes with the stack."""
        super().__init__(
            scope,
            id,
            description=f"{name}: data",
            removal=RemovalPolicy.DESTROY if destroys else RemovalPolicy.RETAIN,
            lifecycle_rules=_lifecycle(),
            # Your own key needs a policy that lets IAM policies of the account grant its use.
            key=kms.Key.from_key_arn(scope, f"{id}Key", key_arn) if key_arn else None,
        )
        self._notify(changes, f"arn:{Aws.PARTITION}:s3:::{project}-*")

    def grant_read_models(self, role: iam.Role) -> None:
        """The artifacts of registered versions."""
        self.grant_read(role, MODELS)
        self.grant_list(role, MODELS)

    def grant_check_models(self, role: iam.Role) -> None:
        """Ask for the checksum of an artifact, which takes the right to read it."""
        self.grant_read(role, MODELS)

    def share_models(self, account: str, roles: Sequence[str]) -> None:
        """A consumer's deployer checks artifacts, and its endpoint reads them: nothing else here is shared.

        It has to be said three times: here, by the key, by their roles.

        https://repost.aws/knowledge-center/cross-account-access-denied-error-s3
        """
        arns = [
            Stack.of(self).format_arn(service="iam", region="", account=account, resource="role", resource_name=name)
            for name in roles
        ]
        # Not as the principal: a policy may not name a role that is not there yet.
        only = {"aws:PrincipalArn": arns}
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=["s3:GetObject"],
                resources=[self.bucket.arn_for_objects(MODELS)],
                conditions={"StringEquals": only},
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(account)],
                actions=["kms:Decrypt"],
                resources=["*"],  # in a key policy: this key
                conditions={"StringEquals": {**only, "kms:ViaService": f"s3.{Stack.of(self).region}.amazonaws.com"}},
            )
        )

    def reserve(self, *prefixes: str, to: Sequence[iam.Role]) -> None:
        """Nobody else writes there, whatever else they may do: what lies there is executed.

        Denied is every action on an object that does not read it: replication, tags and what S3 has yet to invent as
        well. An administrator can still change this policy, and so deploy and destroy; and a lifecycle rule is no
        request, so that no policy stops it.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-set-lifecycle-configuration-intro.html
        """
        self.bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                not_actions=["s3:Get*", "s3:List*"],
                resources=[self.bucket.arn_for_objects(prefix) for prefix in prefixes],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": [role.role_arn for role in to]}},
            )
        )

    def _notify(self, changes: sqs.Queue, buckets: str) -> None:
        """Said in the bucket's own properties: CDK's way needs a second function, in Node, that has to be kept.

        S3 tests that it may write to the queue when the bucket is made, so the queue's policy comes first and cannot
        name the bucket. It names the account, and what the names of our buckets begin with: CloudFormation begins a
        name that it makes with the stack's, in small letters, and a project's bucket is named by its template.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
        """
        changes.add_to_resource_policy(
            iam.PolicyStatement(
                sid="BucketsOfThisAccountNotify",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[changes.queue_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": buckets},
                },
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
        s3.LifecycleRule(
            id="checkpoints-expire",
            prefix="checkpoints/",
            expiration=Duration.days(60),
            # A job deletes its older checkpoints, dozens in an hour, and never reads them again.
            noncurrent_version_expiration=Duration.days(1),
        ),
        s3.LifecycleRule(id="markers-expire", prefix="quiet/", expiration=Duration.days(7)),
        SENT_MARKERS_EXPIRE,
    ]
