"""`headrace publish`: the project template, synthesized from these sources, goes where other teams start from it.

templates/headrace.yaml     the newest one; its tag has Studio show it
versions/<hash>.yaml        each by its content, for good: Service Catalog's versions are these
assets/<hash>.<suffix>      what they refer to, by content as well
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from headrace.client.catalog import Catalog, read_catalog
from headrace.client.environment import Environment
from headrace.commands import cdk
from headrace.commands.command import command
from headrace.project.folder import PROJECT, read_target
from headrace.terminal.output import Output

_PLACEHOLDER = "TEMPLATE_BUCKET"  # in the template: infra/catalog/project_stack.py
_NEWEST = f"templates/{PROJECT}.yaml"
_VISIBLE = "sagemaker:studio-visibility=true"
_LOCATION = "sagemaker:projectS3TemplatesLocation"  # a tag of the Studio domain


@command(
    "publish", "Into the template bucket, which cdk deploy -c catalog=NAME makes (in the local cloud, this command "
    "does). Studio shows it to the users of the roles that the catalog names; headrace projects create uses it as "
    "well. Prints the template's URL.", takes_project=False,
)  # fmt: skip
def publish(environment: Environment, output: Output) -> None:
    """Raises SetupError where there is no catalog, or the template cannot be synthesized."""
    if environment.running is not None:
        cdk.deploy_catalog(environment, output)
    catalog = read_catalog(environment)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output.note("cdk synth of the project template …")
        cdk.synthesize_project(environment, folder)
        version = _upload(environment, catalog, folder / "project", output)
    _tell_studio(environment, catalog, output)
    if output.as_json:
        output.json(
            {"template_url": catalog.template_url, "launch_role_arn": catalog.launch_role_arn, "version": version}
        )
        return
    output.line(catalog.template_url)
    output.note(f"role ARN, where Studio's form asks for it: {catalog.launch_role_arn}")
    if environment.running is None:
        output.note(
            f"for a version in Service Catalog, give it a name under [{environment.name}.catalog.versions]: "
            f'"<name>" = "{version}", then npx cdk deploy -c catalog={environment.name}'
        )
    output.next(environment.command("projects create NAME"))


def _upload(environment: Environment, catalog: Catalog, folder: Path, output: Output) -> str:
    """Assets first, the newest template last: a project that is started meanwhile finds all that it refers to."""
    s3 = environment.client("s3")
    portable = (folder / "template.yaml").read_text()
    version = hashlib.sha256(portable.encode()).hexdigest()
    body = portable.replace(_PLACEHOLDER, catalog.bucket).encode()
    with environment.doing(f"publishing into {catalog.bucket}"):
        assets = sorted((folder / "assets").iterdir())
        for asset in assets:
            s3.upload_file(str(asset), catalog.bucket, f"assets/{asset.name}")
        s3.put_object(Bucket=catalog.bucket, Key=f"versions/{version}.yaml", Body=body)
        s3.put_object(Bucket=catalog.bucket, Key=_NEWEST, Body=body, Tagging=_VISIBLE)
    output.note(f"published {version[:12]} with {len(assets)} assets to s3://{catalog.bucket}/{_NEWEST}")
    return version


def _tell_studio(environment: Environment, catalog: Catalog, output: Output) -> None:
    domain = read_target(environment.name).studio_domain
    if domain is None:
        output.note(f"no Studio domain is named in [{environment.name}.catalog]: Studio will not show the template")
        return
    if environment.running is not None:
        output.note("the local cloud has no Studio, so no domain lists the template")
        return
    location = f"s3://{catalog.bucket}/{_NEWEST.rpartition('/')[0]}/"
    with environment.doing(f"tagging the Studio domain {domain}"):
        sagemaker = environment.client("sagemaker")
        arn = sagemaker.describe_domain(DomainId=domain)["DomainArn"]
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": _LOCATION, "Value": location}])
    output.note(f"the Studio domain {domain} shows the templates of {location}")
