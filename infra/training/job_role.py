"""The role of processing and training jobs."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data.data_bucket import DataBucket
from infra.data.network import Network
from infra.parts.arns import JOB_LOGS, sagemaker_arn
from infra.parts.container_grants import run_containers
from infra.parts.grants import sagemaker_principal
from infra.parts.images import Images
from pipeline_definition import PipelineSettings


class JobRole(Construct):
    """The code of a job reaches nothing but the data bucket."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        pipelines: Sequence[PipelineSettings],
        data: DataBucket,
        images: Images,
        network: Network | None,
    ) -> None:
        super().__init__(scope, id)
        kinds = ["processing-job", "training-job"] + ["hyper-parameter-tuning-job"] * (
            any(pipeline.tuning_jobs for pipeline in pipelines)
        )
        sources = [sagemaker_arn(self, kind, "*") for kind in kinds]
        self.role = iam.Role(
            self, "Role", assumed_by=sagemaker_principal(self, sources), description="Processing and training jobs"
        )
        inputs = ["datasets/*", "manifests/*", "code/*", "champions/*", "runs/*", "models/*", "checkpoints/*"]
        inputs += ["pretrained/*"] * any(trained.pretrained for pipeline in pipelines for trained in pipeline.trained)
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
