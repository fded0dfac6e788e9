"""The registries of AWS's deep-learning images, as the command line has them without the CDK."""

from __future__ import annotations

from aws_cdk.region_info import Fact, FactName

from headrace.client.registries import ACCOUNTS
from infra.training.wheels import image_python


def test_the_command_line_knows_the_registries_that_the_cdk_knows() -> None:
    facts = {region: Fact.find(region, FactName.DLC_REPOSITORY_ACCOUNT) for region in Fact.regions}
    assert {region: account for region, account in facts.items() if account} == ACCOUNTS


def test_the_python_of_an_image_is_known_by_its_tag_beside_a_digest() -> None:
    digest = f"@sha256:{'0' * 64}"
    assert image_python(f"pytorch:2.13-cpu-amzn2023-sagemaker{digest}") == 12
    assert image_python(f"pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker{digest}") == 12
    assert image_python(f"1.dkr.ecr.eu-central-1.amazonaws.com/mine{digest}") is None
