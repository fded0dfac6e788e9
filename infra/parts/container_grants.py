"""What a role needs so that SageMaker can run a container under it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam

from infra.parts.arns import log_group_arn
from infra.parts.grants import allow
from infra.parts.images import Image


def run_containers(role: iam.Role, *, images: Sequence[Image], log_groups: Sequence[str]) -> None:
    """Pull the images, write the logs, count the metrics.

    The stack sets no retention for these logs. SageMaker creates the groups, one for all jobs of an account, so a
    retention would affect everybody's jobs, and CloudFormation cannot create a group that exists. They are kept
    indefinitely unless the account sets a retention: aws logs put-retention-policy.
    """
    repositories = sorted({image.repository_arn for image in images})
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    allow(role, pull, repositories)
    allow(role, ["ecr:GetAuthorizationToken"], ["*"], because="IAM has no resource type for this action.")
    allow(
        role,
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        [log_group_arn(role, name) for group in log_groups for name in (group, f"{group}:log-stream:*")],
        because="A log stream is named after the job or the endpoint's variant, and its host.",
    )
    allow(
        role,
        ["cloudwatch:PutMetricData"],
        ["*"],
        conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
        because="IAM has no resource type for this action; the namespace is what can be said.",
    )
