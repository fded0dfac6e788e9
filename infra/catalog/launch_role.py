"""The role that creates a project's resources, with the permissions that the template's resource types need.

The table says for each type of resource of the template which actions its handlers call: create, read, update and
delete, in so far as the template uses the property that they serve. Source: the handlers' permissions in the schemas
of CloudFormation's registry (aws cloudformation describe-type --type RESOURCE --type-name <type>); for those of the
types that declare none (alarms, dashboards, rules, policies, subscriptions), the actions of the same names in the
services' API references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.catalog.project_boundary import ProjectBoundary
from infra.catalog.template_bucket import TemplateBucket
from infra.parts.grants import allow

OWN = "headrace-p-*"  # how the template names things: infra/catalog/project_template.py
WHY = "The things of all projects, by the names that the template gives them; numbers of projects are not known before."
LISTED = "IAM has no resource type for this action."

SET_OF_BUCKETS = [
    "BucketNotification",
    "BucketOwnershipControls",
    "BucketPublicAccessBlock",
    "BucketTagging",
    "BucketVersioning",
    "EncryptionConfiguration",
    "LifecycleConfiguration",
]
READ_OF_BUCKETS = [  # whatever the template sets: the handler reads a bucket whole
    "AccelerateConfiguration",
    "AnalyticsConfiguration",
    "BucketAbac",
    "BucketCORS",
    "BucketLogging",
    "BucketMetadataTableConfiguration",
    "BucketObjectLockConfiguration",
    "BucketWebsite",
    "IntelligentTieringConfiguration",
    "InventoryConfiguration",
    "MetricsConfiguration",
    "ReplicationConfiguration",
]
NEEDED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "AWS::CloudWatch::Alarm": {
        "alarm": [
            *(f"cloudwatch:{verb}" for verb in ("DeleteAlarms", "DescribeAlarms", "PutMetricAlarm")),
            *(f"cloudwatch:{verb}" for verb in ("ListTagsForResource", "TagResource", "UntagResource")),
        ]
    },
    "AWS::CloudWatch::Dashboard": {
        "dashboard": [f"cloudwatch:{verb}" for verb in ("DeleteDashboards", "GetDashboard", "PutDashboard")]
    },
    "AWS::Events::Rule": {
        "rule": [
            *(f"events:{verb}Rule" for verb in ("Delete", "Describe", "Put")),
            *(f"events:{verb}" for verb in ("ListTargetsByRule", "PutTargets", "RemoveTargets")),
            *(f"events:{verb}" for verb in ("ListTagsForResource", "TagResource", "UntagResource")),
        ]
    },
    "AWS::IAM::Policy": {
        "role": [f"iam:{verb}RolePolicy" for verb in ("Delete", "Get")],
        "bounded": ["iam:PutRolePolicy"],
    },
    "AWS::IAM::Role": {
        "role": [
            *(f"iam:{verb}Role" for verb in ("Delete", "Get", "Tag", "Untag", "Update")),
            *(f"iam:{verb}" for verb in ("ListAttachedRolePolicies", "ListRolePolicies")),
            *(f"iam:{verb}" for verb in ("UpdateAssumeRolePolicy", "UpdateRoleDescription")),
        ],
        "bounded": ["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
    },
    "AWS::KMS::Key": {
        "new key": ["kms:CreateKey", "kms:TagResource"],  # a key is not tagged yet when it is given its tags
        "seen key": [
            *(f"kms:{verb}" for verb in ("DescribeKey", "EnableKeyRotation", "GetKeyPolicy", "GetKeyRotationStatus")),
            "kms:ListResourceTags",
        ],
        "key": [
            *(f"kms:{verb}" for verb in ("PutKeyPolicy", "ScheduleKeyDeletion", "TagResource", "UntagResource")),
            "kms:UpdateKeyDescription",
        ],
    },
    "AWS::Lambda::EventSourceMapping": {
        "mapping": [
            *(f"lambda:{verb}EventSourceMapping" for verb in ("Delete", "Get", "Update")),
            *(f"lambda:{verb}" for verb in ("ListTags", "TagResource", "UntagResource")),
        ],
        "new mapping": ["lambda:CreateEventSourceMapping"],
    },
    "AWS::Lambda::Function": {
        "function": [
            *(f"lambda:{verb}Function" for verb in ("Create", "Delete", "Get")),
            *(f"lambda:{verb}" for verb in ("GetFunctionCodeSigningConfig", "GetFunctionRecursionConfig")),
            *(f"lambda:{verb}" for verb in ("GetFunctionScalingConfig", "GetRuntimeManagementConfig")),
            *(f"lambda:{verb}" for verb in ("ListTags", "TagResource", "UntagResource")),
            *(f"lambda:{verb}" for verb in ("UpdateFunctionCode", "UpdateFunctionConfiguration")),
        ],
        "passed": ["iam:PassRole"],
        "template": ["s3:GetObject"],
    },
    "AWS::Logs::LogGroup": {
        "any": ["logs:DescribeLogGroups"],
        "log group": [
            *(f"logs:{verb}LogGroup" for verb in ("Create", "Delete")),
            *(f"logs:{verb}RetentionPolicy" for verb in ("Delete", "Put")),
            "logs:GetDataProtectionPolicy",
            *(f"logs:{verb}" for verb in ("ListTagsForResource", "TagResource", "UntagResource")),
        ],
    },
    "AWS::S3::Bucket": {
        "bucket": [
            *(f"s3:{verb}Bucket" for verb in ("Create", "Delete", "List")),
            *(f"s3:{verb}" for verb in ("ListTagsForResource", "TagResource", "UntagResource")),
            *(f"s3:Put{what}" for what in SET_OF_BUCKETS),
            *(f"s3:Get{what}" for what in (*SET_OF_BUCKETS, *READ_OF_BUCKETS)),
        ]
    },
    "AWS::S3::BucketPolicy": {"bucket": [f"s3:{verb}BucketPolicy" for verb in ("Delete", "Get", "Put")]},
    "AWS::SNS::Subscription": {
        "any": ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"],
        "topic": ["sns:Subscribe"],
    },
    "AWS::SNS::Topic": {
        "topic": [
            *(f"sns:{verb}Topic" for verb in ("Create", "Delete")),
            *(f"sns:{verb}TopicAttributes" for verb in ("Get", "Set")),
            *(f"sns:{verb}" for verb in ("GetDataProtectionPolicy", "ListSubscriptionsByTopic")),
            *(f"sns:{verb}" for verb in ("ListTagsForResource", "TagResource", "UntagResource")),
        ]
    },
    "AWS::SNS::TopicPolicy": {"topic": ["sns:SetTopicAttributes"]},
    "AWS::SQS::Queue": {
        "queue": [
            *(f"sqs:{verb}Queue" for verb in ("Create", "Delete", "Tag", "Untag")),
            *(f"sqs:{verb}" for verb in ("GetQueueAttributes", "GetQueueUrl", "ListQueueTags", "SetQueueAttributes")),
        ]
    },
    "AWS::SQS::QueuePolicy": {"queue": ["sqs:SetQueueAttributes"]},
    "AWS::SageMaker::ModelPackageGroup": {
        "group": [
            *(f"sagemaker:{verb}ModelPackageGroup" for verb in ("Create", "Delete", "Describe")),
            *(f"sagemaker:{verb}" for verb in ("AddTags", "DeleteTags", "GetModelPackageGroupPolicy", "ListTags")),
        ]
    },
    "Custom::PublishedSource": {"function": ["lambda:InvokeFunction"]},
}
# What Service Catalog does under a launch role: https://docs.aws.amazon.com/servicecatalog/latest/adminguide/
# constraints-launch.html, "Launch constraint". Its own copy of the template has the tag.
STACKS = [
    *("CreateStack", "DeleteStack", "DescribeStackEvents", "DescribeStacks"),
    *("SetStackPolicy", "TagResource", "UpdateStack"),
]
TEMPLATE_READ = ["cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate"]


class LaunchRole(Construct):
    """Assumed by CloudFormation and Service Catalog to create the stack of a project.

    A principal that may create roles can escalate, so it may create only roles with the projects' permissions boundary.
    """

    def __init__(self, scope: Construct, id: str, *, templates: TemplateBucket, boundary: ProjectBoundary) -> None:
        super().__init__(scope, id)
        self._templates, self._boundary = templates, boundary
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.CompositePrincipal(
                iam.ServicePrincipal("cloudformation.amazonaws.com", conditions=self._own_account()),
                iam.ServicePrincipal("servicecatalog.amazonaws.com"),
            ),
            description="Makes, changes and deletes the things of projects that were started from the template",
        )
        for needs in NEEDED.values():
            for what, actions in needs.items():
                self._allow(what, actions)
        stacks = self._arn("cloudformation", "stack/SC-*")
        allow(self.role, [f"cloudformation:{name}" for name in STACKS], [stacks], because=WHY)
        allow(self.role, TEMPLATE_READ, ["*"], because=LISTED)
        allow(
            self.role,
            ["s3:GetObject"],
            ["*"],
            conditions={"StringEquals": {"s3:ExistingObjectTag/servicecatalog:provisioning": "true"}},
            because="Service Catalog copies templates into its own buckets, and marks them with this tag.",
        )

    def _own_account(self) -> dict[str, object]:
        return {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}

    def _allow(self, what: str, actions: Sequence[str]) -> None:
        tag = "sagemaker:project-id"
        match what:
            case "any":
                return allow(self.role, actions, ["*"], because=LISTED)
            case "new key":
                condition = {"StringLike": {f"aws:RequestTag/{tag}": "p-*"}}
                return allow(self.role, actions, ["*"], conditions=condition, because="A new key has no name yet.")
            case "seen key":  # at once after its creation, when its tags do not count everywhere yet
                return allow(self.role, actions, [self._arn("kms", "key/*")], because="AWS numbers keys.")
            case "key":
                condition = {"StringLike": {f"aws:ResourceTag/{tag}": "p-*"}}
                return allow(self.role, actions, [self._arn("kms", "key/*")], conditions=condition, because=WHY)
            case "new mapping":
                condition = {"ArnLike": {"lambda:FunctionArn": self._arn("lambda", f"function:{OWN}")}}
                return allow(self.role, actions, ["*"], conditions=condition, because=LISTED)
            case "mapping":
                mappings = self._arn("lambda", "event-source-mapping:*")
                return allow(self.role, actions, [mappings], because="AWS numbers event source mappings.")
            case "bounded":
                condition = {"StringEquals": {"iam:PermissionsBoundary": self._boundary.arn}}
                return allow(self.role, actions, [self._arn("iam", f"role/{OWN}")], conditions=condition, because=WHY)
            case "passed":
                condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
                return allow(self.role, actions, [self._arn("iam", f"role/{OWN}")], conditions=condition, because=WHY)
            case "template":
                return allow(self.role, actions, [self._templates.bucket.arn_for_objects("*")], because=WHY)
        resources = {
            "alarm": ("cloudwatch", f"alarm:{OWN}"),
            "bucket": ("s3", OWN),
            "dashboard": ("cloudwatch", "dashboard/*-p-*"),
            "function": ("lambda", f"function:{OWN}"),
            "group": ("sagemaker", "model-package-group/*-p-*"),
            "log group": ("logs", f"log-group:{OWN}"),
            "queue": ("sqs", OWN),
            "role": ("iam", f"role/{OWN}"),
            "rule": ("events", f"rule/{OWN}"),
            "topic": ("sns", OWN),
        }
        allow(self.role, actions, [self._arn(*resources[what])], because=WHY)

    def _arn(self, service: str, resource: str) -> str:
        nowhere = {"s3": {"region": "", "account": ""}, "iam": {"region": ""}}.get(service, {})
        if resource.startswith("dashboard/"):
            nowhere = {"region": ""}
        return Stack.of(self).format_arn(
            service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME, **nowhere
        )
