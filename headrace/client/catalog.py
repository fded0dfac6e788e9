"""The catalog stack, which offers the project template."""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.errors import SetupError, is_missing
from headrace.project.folder import PROJECT

CATALOG = f"{PROJECT}-catalog"


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the catalog's stack says of itself."""

    bucket: str
    template_url: str
    launch_role_arn: str


def read_catalog(environment: Environment) -> Catalog:
    with environment.doing(f"reading the stack {CATALOG}"):
        try:
            found = environment.client("cloudformation").describe_stacks(StackName=CATALOG)["Stacks"][0]
        except ClientError as error:
            if not is_missing(error):
                raise
            raise SetupError(
                f"{environment.name} has no catalog: there is no stack {CATALOG} in {environment.region}",
                hint=deploy_hint(environment),
            ) from error
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}
    if not {"TemplateBucketName", "TemplateUrl", "LaunchRoleArn"} <= outputs.keys():
        raise SetupError(f"the stack {CATALOG} is {found['StackStatus']}, not deployed", hint=deploy_hint(environment))
    return Catalog(outputs["TemplateBucketName"], outputs["TemplateUrl"], outputs["LaunchRoleArn"])


def deploy_hint(environment: Environment) -> str:
    on_aws = f"npx cdk deploy -c catalog={environment.name}"
    return on_aws if environment.running is None else environment.command("publish")
