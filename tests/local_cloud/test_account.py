"""What the local cloud says of an account, as a file describes it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import acting_as
from tried import tries

from local_cloud.process import Running

Connect = Callable[[str], Any]
AWS = "763104351884"


@pytest.fixture
def describe(cloud: Running) -> Iterator[Callable[[str], None]]:
    """Writes account.toml."""
    file = cloud.state / "sagemaker" / "account.toml"

    def write(text: str) -> None:
        draft = file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(file)

    yield write
    file.unlink(missing_ok=True)


def quotas(connect: Connect, service: str) -> dict[str, float]:
    pages = connect("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode=service)
    return {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}


@tries("service-quotas.ListServiceQuotas", "ServiceCode")
def test_quotas_are_plenty_unless_the_file_says_otherwise(connect: Connect, describe: Callable[[str], None]) -> None:
    name = "ml.g4dn.xlarge for spot training job usage"
    assert quotas(connect, "sagemaker")[name] == 1000
    assert quotas(connect, "vpc") == {"VPCs per Region": 1000}
    describe(f'[quotas.sagemaker]\n"{name}" = 0\n[quotas.vpc]\n"VPCs per Region" = 5\n')
    assert quotas(connect, "sagemaker")[name] == 0
    assert quotas(connect, "vpc") == {"VPCs per Region": 5}
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas(connect, "sns")


@tries("ce.ListCostAllocationTags", "TagKeys")
@tries("ce.UpdateCostAllocationTagsStatus", "CostAllocationTagsStatus")
def test_a_cost_allocation_tag_is_activated(connect: Connect, describe: Callable[[str], None]) -> None:
    describe('inactive_cost_tags = ["team"]')
    billing = connect("ce")

    def statuses() -> dict[str, str]:
        found = billing.list_cost_allocation_tags(TagKeys=["team", "other"])["CostAllocationTags"]
        return {tag["TagKey"]: tag["Status"] for tag in found}

    assert statuses() == {"team": "Inactive", "other": "Active"}
    billing.update_cost_allocation_tags_status(CostAllocationTagsStatus=[{"TagKey": "team", "Status": "Active"}])
    assert statuses() == {"team": "Active", "other": "Active"}


@tries("ec2.DescribeRegions", "AllRegions RegionNames")
def test_concurrency_zones_and_regions(connect: Connect, describe: Callable[[str], None]) -> None:
    describe('lambda_concurrency = 10\ndisabled_regions = ["ap-south-2"]\n[zones]\nus-east-1b = "use1-az3"\n')
    assert connect("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 10
    zones = connect("ec2").describe_availability_zones()["AvailabilityZones"]
    assert {zone["ZoneName"]: zone["ZoneId"] for zone in zones} == {
        "us-east-1a": "use1-az1",
        "us-east-1b": "use1-az3",
        "us-east-1c": "use1-az3",
    }
    named = ["ap-south-2", "us-east-1"]
    regions = connect("ec2").describe_regions(AllRegions=True, RegionNames=named)["Regions"]
    status = {region["RegionName"]: region["OptInStatus"] for region in regions}
    assert status == {"ap-south-2": "not-opted-in", "us-east-1": "opt-in-not-required"}
    enabled = connect("ec2").describe_regions()["Regions"]
    assert "ap-south-2" not in [region["RegionName"] for region in enabled]


def test_awss_registries_have_each_tag_but_those_that_the_file_names(
    connect: Connect, describe: Callable[[str], None]
) -> None:
    describe('missing_images = ["pytorch:2.99"]')

    def ask(repository: str, tag: str) -> dict[str, Any]:
        answer: dict[str, Any] = connect("ecr").batch_get_image(
            registryId=AWS, repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
        return answer

    assert ask("pytorch", "2.13-cpu")["images"][0]["imageId"]["imageDigest"].startswith("sha256:")
    assert ask("pytorch", "2.99")["failures"][0]["failureCode"] == "ImageNotFound"
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ask("mine", "1")


def test_they_are_asked_with_permissions(connect: Connect) -> None:
    allow = {"Effect": "Allow", "Action": "servicequotas:ListServiceQuotas", "Resource": "*"}
    somebody = acting_as(connect, "reads-quotas", [allow])
    assert somebody("service-quotas").list_service_quotas(ServiceCode="vpc")["Quotas"]
    with pytest.raises(ClientError, match="AccessDenied"):
        somebody("ce").list_cost_allocation_tags(TagKeys=["a"])
