"""The published template: an environment's stack, self-contained, with every name a project's own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from environments.projects import load_project_settings
from environments.typed_table import SettingsError
from infra.catalog.project_stack import BOUNDARY, TEMPLATE_BUCKET
from infra.catalog.project_template import NAMED
from infra.stacks.choose import REFUSAL

REGIONS = ["us-east-1", "eu-central-1", "ap-northeast-1"]


@pytest.fixture
def template(published: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((published / "template.yaml").read_text())
    return content


def test_cdk_nag_has_no_finding(project: Any) -> None:
    assert project.findings == ""


def test_cfn_lint_has_no_finding_in_several_regions(published: Path) -> None:
    """W3005 is about dependencies that are said twice, which CDK does for every function and its role."""
    text = (published / "template.yaml").read_text().replace(TEMPLATE_BUCKET, "templates-of-a-team")
    assert not lint(text, config=ManualArgs(regions=REGIONS, ignore_checks=["W3005"]))


def test_it_has_what_an_environment_has(template: dict[str, Any], synthesized: Callable[[str], Any]) -> None:
    """Resource for resource; but for an e-mail address, which an environment names in its own settings, and for what
    keeps an environment from becoming one that only serves, which a project cannot be."""
    dev = [item for name, item in synthesized("dev").content["Resources"].items() if name != REFUSAL]
    kinds = Counter(item["Type"] for item in template["Resources"].values())
    assert kinds - Counter(item["Type"] for item in dev) == Counter({"AWS::SNS::Subscription": 1})
    assert Counter(item["Type"] for item in dev) - kinds == Counter()
    assert template["Outputs"].keys() == synthesized("dev").content["Outputs"].keys()


def test_all_it_refers_to_in_the_template_bucket_lies_beside_it(published: Path) -> None:
    text = (published / "template.yaml").read_text()
    assets = {str(path.relative_to(published)) for path in (published / "assets").iterdir()}
    assert set(re.findall(r"assets/[0-9a-f]{64}\.[a-z]+", text)) == assets
    assert "cdk-hnb659fds" not in text  # nothing of CDK's bootstrapping
    assert "aws:cdk" not in text


def test_everything_that_can_have_a_name_has_its_projects(template: dict[str, Any]) -> None:
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] in NAMED:
            name = resource["Properties"][NAMED[resource["Type"]][0]]
            assert name == {"Fn::Sub": f"headrace-${{SageMakerProjectId}}-{logical_id}"}
    buckets = [item["Properties"] for item in template["Resources"].values() if item["Type"] == "AWS::S3::Bucket"]
    expected = {"Fn::Sub": "headrace-${SageMakerProjectId}-${AWS::AccountId}-${AWS::Region}"}
    assert [bucket["BucketName"] for bucket in buckets] == [expected]


def test_no_name_holds_what_studios_usual_policy_lets_everybody_have(template: dict[str, Any]) -> None:
    """AmazonSageMakerFullAccess: invoke functions, delete objects, subscribe to topics with "sagemaker" in the name."""
    for resource in template["Resources"].values():
        for key in ("FunctionName", "BucketName", "TopicName", "RoleName"):
            said = resource["Properties"].get(key, {}).get("Fn::Sub", "")
            assert "sagemaker" not in said.replace("${SageMakerProjectId}", "").lower()


def test_everything_that_can_be_tagged_is_tagged_with_its_project(template: dict[str, Any]) -> None:
    untagged = {"AWS::IAM::Policy", "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"}
    untagged |= {"AWS::SNS::Subscription", "AWS::CloudWatch::Dashboard", "Custom::PublishedSource"}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] not in untagged:
            tags = {item["Key"]: item["Value"] for item in resource["Properties"]["Tags"]}
            assert tags["sagemaker:project-id"] == {"Ref": "SageMakerProjectId"}, logical_id
            assert tags["sagemaker:project-name"] == {"Ref": "SageMakerProjectName"}, logical_id


def test_every_role_stays_within_the_projects_boundary(template: dict[str, Any]) -> None:
    roles = [item for item in template["Resources"].values() if item["Type"] == "AWS::IAM::Role"]
    assert len(roles) > 5
    for role in roles:
        assert BOUNDARY in json.dumps(role["Properties"]["PermissionsBoundary"])


def test_choices_are_explained_and_limited(template: dict[str, Any]) -> None:
    parameters = template["Parameters"]
    assert set(parameters) == {
        "SageMakerProjectName",
        "SageMakerProjectId",
        "TrainInstanceType",
        "Capacity",
        "AccuracyThreshold",
        "NoticeEmail",
    }
    for name, parameter in parameters.items():
        assert parameter["Description"], name
        assert {"AllowedValues", "AllowedPattern", "MaxValue"} & parameter.keys(), name
    assert (parameters["AccuracyThreshold"]["MinValue"], parameters["AccuracyThreshold"]["MaxValue"]) == (0, 1)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("birds", True),
        ("birds-2", True),
        ("Birds-2", False),
        ("a-p-1", False),
        ("-birds", False),
        ("bir_ds", False),
        ("x-p-1-v2", False),
    ],
)
def test_no_projects_name_can_be_taken_for_the_start_of_anothers(
    template: dict[str, Any], name: str, fits: bool
) -> None:
    """Models of the project a, number p-1, are a-p-1-v<number>; x-p-1-v2 would be a project of x, number p-1."""
    assert bool(re.fullmatch(template["Parameters"]["SageMakerProjectName"]["AllowedPattern"], name)) == fits


def test_each_capacity_has_its_own_definition(template: dict[str, Any], published: Path) -> None:
    (found,) = (value for name, value in template["Mappings"].items() if "Definition" in name)
    steps = {}
    for capacity, item in found.items():
        definition = json.loads((published / item["Key"]).read_text())
        steps[capacity] = {step["Name"] for step in definition["Steps"] if step["Name"].startswith("Train")}
    assert steps == {
        "spot": {"TrainSpot"},
        "on-demand": {"TrainOnDemand"},
        "both": {"TrainSpot", "TrainOnDemand"},
    }


def test_what_is_chosen_reaches_the_function_that_keeps_the_pipeline(project: Any) -> None:
    variables = project.properties("StartPipeline/Function")["Environment"]["Variables"]
    parts = variables["PARAMETER_DEFAULTS"]["Fn::Join"][1]
    assert {"Ref": "AccuracyThreshold"} in parts
    assert {"Ref": "TrainInstanceType"} in parts


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[projects]\naccount = "123456789012"\n', "account is set"),
        ("[projects]\nmax_run_cost = 2.0\n", "max_run_cost is set"),
        ("[projects]\ntrain_instance_types = []\n", "train_instance_types is empty"),
        ('[projects]\ntrain_instance_types = ["g5.xlarge"]\n', "train_instance_types holds 'g5.xlarge'"),
        ("[projects]\nquiet = 3\n", "unknown key 'quiet'"),
        ("[projects.pipeline]\nkeep_alive_seconds = 60\n", "with capacity spot, which a project may choose"),
        ("[projects.pipeline]\naccuracy_threshold = 1.5\n", "accuracy_threshold is 1.5"),
    ],
)
def test_what_is_wrong_in_the_table_of_projects_is_said(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=what) as caught:
        load_project_settings(path)
    assert "\nhint: " in str(caught.value)
