"""The model package group: every registered version of the model, its metrics and whether it is approved."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.arn import sagemaker_arn
from infra.permission import allow
from infra.settings import Settings


class ModelRegistry(Construct):
    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(scope, id)
        self.group_name = settings.name
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=self.group_name,
            model_package_group_description=f"Models of the pipeline {settings.name}",
        )
        # But not the group of a first deployment that failed: its name would be taken in the next one.
        keep = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        self.group.apply_removal_policy(RemovalPolicy.DESTROY if settings.destroys else keep)
        self.group_arn = sagemaker_arn(self, "model-package-group", self.group_name)
        self.versions_arn = sagemaker_arn(self, "model-package", f"{self.group_name}/*")

    def grant_read(self, role: iam.Role) -> None:
        why = "Versions are numbered as they are registered; these are all of this group."
        allow(role, ["sagemaker:ListModelPackages"], [self.versions_arn], because=why)
        allow(role, ["sagemaker:DescribeModelPackage"], [self.versions_arn], because=why)

    def grant_delete_versions(self, role: iam.Role) -> None:
        why = "Versions are numbered as they are registered; these are all of this group."
        allow(role, ["sagemaker:ListModelPackages"], [self.versions_arn], because=why)
        allow(role, ["sagemaker:DeleteModelPackage"], [self.versions_arn], because=why)

    def grant_register(self, role: iam.Role) -> None:
        """RegisterModel creates the group each time and goes on when there is one, so it needs that right too."""
        why = "The version's number is not known before it is registered."
        allow(role, ["sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackageGroup"], [self.group_arn])
        allow(role, ["sagemaker:AddTags"], [self.group_arn, self.versions_arn], because=why)
        create = ["sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage"]
        allow(role, create, [self.versions_arn], because=why)
