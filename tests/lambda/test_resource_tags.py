"""Tags of the pipeline and of the endpoint follow the settings, also when they were made with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_aws import ACCOUNT, REGION
from worlds import CLIENTS, NAME, DeployWorld, UploadWorld

from start_pipeline.definition.pipeline import upsert

PIPELINE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{NAME}"
ENDPOINT = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{NAME}"
DEFINITION: dict[str, Any] = {"Version": "2020-12-01", "Steps": []}
OWN = {"headrace:environment": "prod", "CostCenter": "ml"}


def tags(cloud: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in cloud.tags[arn]}


def test_a_pipeline_that_is_there_gets_the_tags_that_the_settings_have_now(world: UploadWorld) -> None:
    sagemaker, environment = CLIENTS("sagemaker"), replace(world.environment, pipeline_tags=OWN)
    upsert(sagemaker, environment, DEFINITION)
    assert tags(world.cloud, PIPELINE) == OWN
    world.cloud.tags[PIPELINE].append({"Key": "sagemaker:domain-arn", "Value": "d"})
    changed = {"headrace:environment": "prod", "CostCenter": "vision", "Owner": "me"}
    upsert(sagemaker, replace(environment, pipeline_tags=changed), DEFINITION)
    assert tags(world.cloud, PIPELINE) == changed | {"sagemaker:domain-arn": "d"}, "AWS's own stay"
    upsert(sagemaker, replace(environment, pipeline_tags={"Owner": "me"}), DEFINITION)
    assert tags(world.cloud, PIPELINE) == {"Owner": "me", "sagemaker:domain-arn": "d"}


def test_a_pipeline_of_an_older_version_without_tags_gets_them(world: UploadWorld) -> None:
    """Its jobs were missing from the budget."""
    upsert(CLIENTS("sagemaker"), replace(world.environment, pipeline_tags={}), DEFINITION)
    upsert(CLIENTS("sagemaker"), replace(world.environment, pipeline_tags=OWN), DEFINITION)
    assert tags(world.cloud, PIPELINE) == OWN


def test_an_endpoint_gets_the_tags_that_the_settings_have_now(registry: DeployWorld) -> None:
    assert registry.deliver(registry.decide(1, "Approved")) == []
    registry.settle()
    registry.environment = replace(registry.environment, tags=OWN)
    assert registry.deliver(registry.decide(1, "Approved")) == []
    assert tags(registry.cloud, ENDPOINT) == OWN
