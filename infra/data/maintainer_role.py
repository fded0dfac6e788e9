"""Who may change what is executed, the training code and the pipeline's definition, and upload what it runs on."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data.data_bucket import DataBucket


class MaintainerRole(Construct):
    """Assumed by people of this account; the account decides who may call `sts:AssumeRole` on it."""

    def __init__(self, scope: Construct, id: str, *, data: DataBucket) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.AccountRootPrincipal(),
            description="Uploads data, and writes pipelines/ and code/ of the data bucket",
            max_session_duration=Duration.hours(1),
        )
        data.grant_list(self.role)
        data.grant_read(self.role, "datasets/*", "pipelines/*", "code/*")
        data.grant_write(self.role, "datasets/*", "pipelines/*", "code/*")
        data.grant_delete(self.role, "datasets/*", "pipelines/*", "code/*")
