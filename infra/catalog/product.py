"""The template as a product of Service Catalog, in every version that is kept."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_servicecatalog as servicecatalog
from constructs import Construct

from environments.catalog import CatalogSettings
from infra.catalog.launch_role import LaunchRole
from infra.catalog.template_bucket import VERSIONS, TemplateBucket

TITLE = "Headrace: from uploaded data to a served model"


class Product(Construct):
    """Studio shows it to the users of `starters`, who may launch it and need no right to what it makes."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: CatalogSettings,
        launch: LaunchRole,
        templates: TemplateBucket,
        starters: Sequence[iam.IRole],
    ) -> None:
        super().__init__(scope, id)
        portfolio = servicecatalog.Portfolio(
            self, "Portfolio", display_name="Headrace", provider_name=settings.owner, description=TITLE
        )
        product = servicecatalog.CloudFormationProduct(
            self,
            "Product",
            product_name=TITLE,
            owner=settings.owner,
            description="Upload data to a bucket, and a tested, approved, served model comes out.",
            product_versions=[
                servicecatalog.CloudFormationProductVersion(
                    product_version_name=name,
                    cloud_formation_template=servicecatalog.CloudFormationTemplate.from_url(
                        templates.url(f"{VERSIONS}{template}.yaml")
                    ),
                )
                for name, template in settings.versions.items()
            ],
        )
        Tags.of(product).add("sagemaker:studio-visibility", "true")
        portfolio.add_product(product)
        portfolio.set_launch_role(product, launch.role)
        for starter in starters:
            portfolio.give_access_to_role(starter)
