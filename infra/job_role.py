"""The role of processing and training jobs, and what any role needs under which SageMaker runs a container."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.arn import JOB_LOGS, log_group_arn, sagemaker_arn
from infra.data_bucket import DataBucket
from infra.images import Image, Images
from infra.network import Network
from infra.permission import allow, sagemaker_principal
from infra.settings import Settings


class JobRole(Construct):
    """Whatever code is in them reaches nothing but the data bucket."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        data: DataBucket,
        images: Images,
        network: Network | None,
    ) -> None:
        super().__init__(scope, id)
        kinds = ["processing-job", "training-job"] + ["hyper-parameter-tuning-job"] * (
            any(pipeline.tuning_jobs for pipeline in settings.every_pipeline)
        )
        sources = [sagemaker_arn(self, kind, "*") for kind in kinds]
        self.role = iam.Role(
            self, "Role", assumed_by=sagemaker_principal(self, sources), description="Processing and training jobs"
        )
        inputs = ["datasets/*", "manifests/*", "code/*", "champions/*", "runs/*", "models/*", "checkpoints/*"]
        inputs += ["pretrained/*"] * any(
            trained.pretrained for pipeline in settings.every_pipeline for trained in pipeline.trained
        )
        data.grant_read(self.role, *inputs)
        data.grant_list(self.role, *inputs)
        data.grant_upload_results(self.role, "runs/*", "checkpoints/*")
        data.grant_delete(self.role, "checkpoints/*")  # a checkpoint that the job deletes is deleted in S3
        run_containers(
            self.role,
            images=[images.processing, images.training],
            log_groups=JOB_LOGS,
        )
        if network:
            network.grant_join(self.role)


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
