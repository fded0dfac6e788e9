"""What an account needs to offer the project template: once, with or without an environment in the same account."""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, IStackSynthesizer, Stack, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from environments.catalog import CatalogSettings
from environments.settings import PROJECT
from infra.catalog.launch_permission import LaunchPermission
from infra.catalog.launch_role import LaunchRole
from infra.catalog.product import Product
from infra.catalog.project_boundary import ProjectBoundary
from infra.catalog.template_bucket import TEMPLATES, TemplateBucket
from infra.parts.images import registries

TEMPLATE_KEY = f"{TEMPLATES}{PROJECT}.yaml"


class CatalogStack(Stack):
    """Two ways lead to one template: Studio's list of what lies in the bucket, and a product of Service Catalog."""

    def __init__(
        self, scope: Construct, id: str, *, settings: CatalogSettings, synthesizer: IStackSynthesizer | None = None
    ) -> None:
        environment = settings.environment
        super().__init__(
            scope,
            id,
            env=Environment(account=environment.account, region=environment.region),
            description="Headrace: offers the project template",
            synthesizer=synthesizer,
        )
        for key, value in environment.tags.items():
            Tags.of(self).add(key, value)
        templates = TemplateBucket(self, "Templates")
        boundary = ProjectBoundary(
            self,
            "Boundary",
            templates=templates,
            model_approval_status=settings.model_approval_status,
            registries=registries(self, settings.images),
        )
        launch = LaunchRole(self, "Launch", templates=templates, boundary=boundary)
        starters = [
            iam.Role.from_role_arn(self, f"Starter{number}", arn, mutable=False)
            for number, arn in enumerate(settings.launched_by, 1)
        ]
        LaunchPermission(self, "MayLaunch", launch=launch, templates=templates, starters=starters)
        if settings.versions:
            Product(self, "Product", settings=settings, launch=launch, templates=templates, starters=starters)

        outputs = {
            "TemplateBucketName": templates.bucket.bucket_name,
            "TemplateUrl": templates.url(TEMPLATE_KEY),
            "LaunchRoleArn": launch.role.role_arn,
        }
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
