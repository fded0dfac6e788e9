"""What CloudFormation needs to be allowed for a resource: a table of the types that this project's templates hold.

Enforced are the actions below for the resource types below, with the condition keys ``aws:RequestTag/…``,
``aws:TagKeys``, ``aws:ResourceTag/…``, ``iam:PermissionsBoundary``, ``iam:PolicyARN``, ``iam:PassedToService`` and
``lambda:FunctionArn``. Not enforced: the reads that CloudFormation makes besides, what the predecessor of a replaced
resource needs, and other types. Sources: the service authorization reference, and the permissions that each type's
handlers have in CloudFormation's registry.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ministack.services import iam

from local_cloud.sagemaker.core.store import Scope

Operation = Literal["create", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Resource:
    kind: str  # AWS::SQS::Queue
    name: str  # the physical id, or before creation the name that it gets unless the properties hold one
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Permission:
    action: str
    resource: str
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Kind:
    targets: Callable[[Resource, Scope], list[str]]
    create: str
    update: str
    delete: str
    properties: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Property -> the action that sets it, and the one that a deletion needs for it."""
    passes: str | None = None  # the service that gets the role in ``Role``


def required(operation: Operation, resource: Resource, scope: Scope) -> Iterator[Permission]:
    """The permissions for one operation on one resource; none for a type that is not in the table."""
    kind = _KINDS.get("Custom::" if resource.kind.startswith("Custom::") else resource.kind)
    if kind is None:
        return
    actions = [getattr(kind, operation)]
    for name, (put, remove) in kind.properties.items():
        if resource.properties.get(name):
            actions.append(remove if operation == "delete" else put)
    for target in kind.targets(resource, scope):
        for action in filter(None, actions):
            context = _boundary(resource, target) | _function(action, resource, scope)
            if operation == "create":
                # What is set after the creation is set on a resource that has its tags.
                context |= _tags(resource, "request" if "Tag" in action or action == kind.create else "resource")
            for more in _policies(action, resource):
                yield Permission(action, "*" if action in _ON_ANYTHING else target, context | more)
    if kind.passes and operation != "delete" and "Role" in resource.properties:
        yield Permission("iam:PassRole", resource.properties["Role"], {"iam:passedtoservice": kind.passes})


def _tags(resource: Resource, whose: Literal["request", "resource"]) -> dict[str, Any]:
    tags = {tag["Key"]: tag["Value"] for tag in resource.properties.get("Tags") or []}
    tags = {key: value for key, value in tags.items() if not key.startswith("aws:")}
    names = {"aws:tagkeys": list(tags)} if tags and whose == "request" else {}
    return {f"aws:{whose}tag/{key.lower()}": value for key, value in tags.items()} | names


def _function(action: str, resource: Resource, scope: Scope) -> dict[str, Any]:
    if action != "lambda:CreateEventSourceMapping":
        return {}
    return {"lambda:functionarn": _other(_FUNCTION, "FunctionName")(resource, scope)[0]}


def _boundary(resource: Resource, target: str) -> dict[str, Any]:
    """A role's boundary is of the request when the role is made, and of the role when a policy is put into it."""
    if resource.kind == "AWS::IAM::Role":
        return {"iam:permissionsboundary": resource.properties.get("PermissionsBoundary")}
    role = iam._roles.get(target.rsplit("/", 1)[-1]) if resource.kind == "AWS::IAM::Policy" else None
    return {"iam:permissionsboundary": role.get("PermissionsBoundary")} if role else {}


def _policies(action: str, resource: Resource) -> list[dict[str, str]]:
    if action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
        return [{"iam:policyarn": policy} for policy in resource.properties["ManagedPolicyArns"]]
    return [{}]


def _named(pattern: str, member: str) -> Callable[[Resource, Scope], list[str]]:
    """The resource itself: its name is in a property, or is the end of its physical id, be that an ARN or a URL."""

    def targets(resource: Resource, scope: Scope) -> list[str]:
        generated = re.split("[:/]", resource.name)[-1] if re.match("arn:|https?:", resource.name) else resource.name
        name = resource.properties.get(member) or generated
        path = resource.properties.get("Path", "/")
        return [f"arn:aws:{pattern}".format(region=scope.region, account=scope.account, name=name, path=path)]

    return targets


def _other(pattern: str, member: str) -> Callable[[Resource, Scope], list[str]]:
    """The resources that a property names, by ARN, name or URL."""

    def targets(resource: Resource, scope: Scope) -> list[str]:
        value = resource.properties.get(member) or []
        named = [Resource(resource.kind, str(item), {}) for item in (value if isinstance(value, list) else [value])]
        return [item.name if item.name.startswith("arn:") else _named(pattern, "")(item, scope)[0] for item in named]

    return targets


# Actions that IAM knows no resource for: a policy that names one does not allow them.
_ON_ANYTHING = ("kms:CreateKey", "lambda:CreateEventSourceMapping")
_QUEUE = "sqs:{region}:{account}:{name}"
_TOPIC = "sns:{region}:{account}:{name}"
_FUNCTION = "lambda:{region}:{account}:function:{name}"

_KINDS = {
    "AWS::IAM::Role": _Kind(
        _named("iam::{account}:role{path}{name}", "RoleName"), "iam:CreateRole", "iam:UpdateAssumeRolePolicy",
        "iam:DeleteRole",
        {"Policies": ("iam:PutRolePolicy", "iam:DeleteRolePolicy"), "Tags": ("iam:TagRole", None),
         "ManagedPolicyArns": ("iam:AttachRolePolicy", "iam:DetachRolePolicy")},
    ),
    "AWS::IAM::Policy": _Kind(
        lambda resource, scope: [iam._roles[name]["Arn"] for name in resource.properties["Roles"]],
        "iam:PutRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy",
    ),
    "AWS::S3::Bucket": _Kind(
        _named("s3:::{name}", "BucketName"), "s3:CreateBucket", "s3:PutBucketTagging", "s3:DeleteBucket",
        {"BucketEncryption": ("s3:PutEncryptionConfiguration", None), "Tags": ("s3:PutBucketTagging", None),
         "CorsConfiguration": ("s3:PutBucketCORS", None), "OwnershipControls": ("s3:PutBucketOwnershipControls", None),
         "LifecycleConfiguration": ("s3:PutLifecycleConfiguration", None),
         "NotificationConfiguration": ("s3:PutBucketNotification", None),
         "PublicAccessBlockConfiguration": ("s3:PutBucketPublicAccessBlock", None),
         "VersioningConfiguration": ("s3:PutBucketVersioning", None)},
    ),
    "AWS::S3::BucketPolicy": _Kind(
        _other("s3:::{name}", "Bucket"), "s3:PutBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"
    ),
    "AWS::KMS::Key": _Kind(
        _named("kms:{region}:{account}:key/{name}", ""), "kms:CreateKey", "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
        {"EnableKeyRotation": ("kms:EnableKeyRotation", None), "Tags": ("kms:TagResource", None)},
    ),
    "AWS::SQS::Queue": _Kind(
        _named(_QUEUE, "QueueName"), "sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue",
        {"Tags": ("sqs:TagQueue", None)},
    ),
    "AWS::SQS::QueuePolicy": _Kind(
        _other(_QUEUE, "Queues"), "sqs:SetQueueAttributes", "sqs:SetQueueAttributes", "sqs:SetQueueAttributes"
    ),
    "AWS::SNS::Topic": _Kind(
        _named(_TOPIC, "TopicName"), "sns:CreateTopic", "sns:SetTopicAttributes", "sns:DeleteTopic",
        {"Tags": ("sns:TagResource", None)},
    ),
    "AWS::SNS::TopicPolicy": _Kind(
        _other(_TOPIC, "Topics"), "sns:SetTopicAttributes", "sns:SetTopicAttributes", "sns:SetTopicAttributes"
    ),
    "AWS::SNS::Subscription": _Kind(
        _other(_TOPIC, "TopicArn"), "sns:Subscribe", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"
    ),
    "AWS::Lambda::Function": _Kind(
        _named(_FUNCTION, "FunctionName"), "lambda:CreateFunction", "lambda:UpdateFunctionConfiguration",
        "lambda:DeleteFunction", {"Tags": ("lambda:TagResource", None)}, passes="lambda.amazonaws.com",
    ),
    "AWS::Lambda::Permission": _Kind(
        _other(_FUNCTION, "FunctionName"), "lambda:AddPermission", "lambda:AddPermission", "lambda:RemovePermission"
    ),
    "AWS::Lambda::EventSourceMapping": _Kind(
        _named("lambda:{region}:{account}:event-source-mapping:{name}", ""), "lambda:CreateEventSourceMapping",
        "lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping",
    ),
    "AWS::Events::Rule": _Kind(
        _named("events:{region}:{account}:rule/{name}", "Name"), "events:PutRule", "events:PutRule",
        "events:DeleteRule", {"Targets": ("events:PutTargets", "events:RemoveTargets")},
    ),
    "AWS::Logs::LogGroup": _Kind(
        _named("logs:{region}:{account}:log-group:{name}", "LogGroupName"), "logs:CreateLogGroup",
        "logs:PutRetentionPolicy", "logs:DeleteLogGroup",
        {"RetentionInDays": ("logs:PutRetentionPolicy", None), "Tags": ("logs:TagResource", None)},
    ),
    "AWS::CloudWatch::Alarm": _Kind(
        _named("cloudwatch:{region}:{account}:alarm:{name}", "AlarmName"), "cloudwatch:PutMetricAlarm",
        "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", {"Tags": ("cloudwatch:TagResource", None)},
    ),
    "AWS::CloudWatch::Dashboard": _Kind(
        _named("cloudwatch::{account}:dashboard/{name}", "DashboardName"), "cloudwatch:PutDashboard",
        "cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards",
    ),
    "AWS::SageMaker::ModelPackageGroup": _Kind(
        _named("sagemaker:{region}:{account}:model-package-group/{name}", "ModelPackageGroupName"),
        "sagemaker:CreateModelPackageGroup", "sagemaker:AddTags", "sagemaker:DeleteModelPackageGroup",
        {"Tags": ("sagemaker:AddTags", None)},
    ),
    "Custom::": _Kind(
        _other(_FUNCTION, "ServiceToken"), "lambda:InvokeFunction", "lambda:InvokeFunction", "lambda:InvokeFunction"
    ),
}  # fmt: skip
