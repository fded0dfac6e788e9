"""The role of the endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data.data_bucket import DataBucket
from infra.data.network import Network
from infra.parts.container_grants import run_containers
from infra.parts.grants import sagemaker_principal
from infra.parts.images import Images
from infra.registry.source_registry import SourceRegistry


class EndpointRole(Construct):
    """It reads model artifacts and nothing else. SageMaker names the logs of `endpoints` after them."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        data: DataBucket | SourceRegistry,
        images: Images,
        endpoints: Sequence[str],
        network: Network | None = None,
    ) -> None:
        super().__init__(scope, id)
        # Hosting wants the account-wide form: an ARN of an endpoint or model in it is refused (SageMaker's guide).
        source = Stack.of(self).format_arn(service="sagemaker", resource="*")
        self.role = iam.Role(
            self, "Role", assumed_by=sagemaker_principal(self, [source]), description="Endpoint and its models"
        )
        data.grant_read_models(self.role)
        run_containers(
            self.role, images=[images.inference], log_groups=[f"/aws/sagemaker/Endpoints/{name}" for name in endpoints]
        )
        if network:
            network.grant_join(self.role, also=["ec2:DescribeVpcEndpoints"])
