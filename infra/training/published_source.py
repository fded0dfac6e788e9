"""The training code and the pipeline's definition, put into the data bucket by every deployment that changes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import CfnMapping, CustomResource, Duration, Stack
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from data_sets import kinds
from infra.data.data_bucket import CODE, DataBucket
from infra.data.network import Network
from infra.parts.lambda_function import FunctionCode, custom_resource_function
from infra.registry.model_registry import ModelRegistry
from infra.training.code_archive import CodeArchive
from infra.training.model_line import ModelLine
from infra.training.training_code import REQUIREMENTS
from pipeline_definition import PipelineSettings, build_pipeline, render
from source_code.archive import File, pack

NO_CHAMPION = "champions/none/NONE"


class PublishedSource(Construct):
    """Code goes to an address made of its content, so that executions under way keep the code they started with.

    And to the one where a maintainer may put another archive over it. `code_uri` and `code_hash` are what the
    definition is bound to where there is none. The function that puts them also has the endpoint
    looked at, and clears up before a stack is destroyed: pipeline, endpoint and models are made at run time, and
    CloudFormation knows nothing of them. Data and registered versions go too, unless the environment retains them.
    It puts the definitions of all lines; what clears up for a declared line is infra/training/model_line.py.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        files: Mapping[str, File],
        pipelines: Mapping[str, PipelineSettings],
        capacity: str,
        lines: Sequence[ModelLine],
        instances: str,
        images: Sequence[str],
        parameter_defaults: Mapping[str, str],
        destroys: bool,
        code: FunctionCode,
        data: DataBucket,
        registry: ModelRegistry,
        decisions: sqs.IQueue,
        uploads: sqs.IQueue,
        network: Network | None,
    ) -> None:
        """`files` are those of the training code. `pipelines` has the definitions by their capacity; `capacity`, which
        may be a reference, says which is taken. `instances` are those of the endpoint, and `images` those of jobs and
        endpoint: their changes are to be noticed."""
        super().__init__(scope, id)
        archive = CodeArchive(pack(files))
        self.image_kinds = kinds.taken(files[REQUIREMENTS].content.decode() if REQUIREMENTS in files else "")
        self.code_hash = archive.hash
        self.code_uri = f"s3://{data.bucket.bucket_name}/code/{archive.hash}/source.tar.gz"
        definition_key = f"pipelines/{name}.json"
        code_asset = _asset(self, "Code", "source.tar.gz", archive.content)
        definitions = {
            kind: _asset(self, f"Definition-{kind}", "definition.json", _definition(pipeline, network))
            for kind, pipeline in pipelines.items()
        }
        of_lines = {
            f"pipelines/{line.name}.json": _asset(
                self, f"DefinitionOfLine-{line.line}", "definition.json", _definition(line.pipeline, network)
            )
            for line in lines
        }
        description = "Puts code and definition into the data bucket, and clears up before a stack is destroyed"
        self.deployment = custom_resource_function(self, code, description)
        self.copied = [_arn(asset) for asset in (code_asset, *definitions.values(), *of_lines.values())]
        self.written = ["code/*", definition_key, *of_lines, NO_CHAMPION]
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::PublishedSource",
            service_token=self.deployment.function.function_arn,
            service_timeout=Duration.minutes(20),
            properties={
                "Bucket": data.bucket.bucket_name,
                "Copies": [
                    {"FromBucket": code_asset.s3_bucket_name, "FromKey": from_key, "ToKey": to_key}
                    for from_key, to_key in (
                        (code_asset.s3_object_key, f"code/{archive.hash}/source.tar.gz"),
                        (code_asset.s3_object_key, CODE),
                        (_chosen(self, definitions, capacity), definition_key),
                        *((asset.s3_object_key, key) for key, asset in of_lines.items()),
                    )
                ],
                "Objects": {NO_CHAMPION: "This prefix stands for: no model version is approved yet.\n"},
                "PipelineName": name,
                "EndpointName": name,
                # Empty where there is no VPC. That these change has the endpoint looked at, as do its instances, which
                # are not read.
                "SubnetIds": network.subnet_ids if network else [],
                "EndpointInstances": instances,
                "ModelPackageGroupName": registry.group_name,
                # Nor are these: that they change has the pipeline looked at.
                "ParameterDefaults": dict(parameter_defaults),
                "Images": " ".join(images),
                "DecisionsQueueUrl": decisions.queue_url,
                "UploadsQueueUrl": uploads.queue_url,
                "Retain": "false" if destroys else "true",
            },
        )


def _chosen(scope: Construct, definitions: Mapping[str, assets.Asset], capacity: str) -> str:
    """The key of that capacity's definition; where there are several, CloudFormation looks it up."""
    keys = {name: {"Key": asset.s3_object_key} for name, asset in definitions.items()}
    if capacity in keys:
        return keys[capacity]["Key"]
    return CfnMapping(scope, "DefinitionOf", mapping=keys).find_in_map(capacity, "Key")


def _definition(pipeline: PipelineSettings, network: Network | None) -> bytes:
    return render(build_pipeline(pipeline, in_vpc=network is not None))


def _asset(scope: Construct, id: str, name: str, content: bytes) -> assets.Asset:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return assets.Asset(scope, id, path=str(path), asset_hash=hashlib.sha256(content).hexdigest())


def _arn(asset: assets.Asset) -> str:
    return Stack.of(asset).format_arn(
        service="s3", region="", account="", resource=asset.s3_bucket_name, resource_name=asset.s3_object_key
    )
