"""What the roles of a project reach at most: by their own policies, and by any policy within the boundary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document
from templates import listed

from environments.catalog import load_catalog_settings
from infra.parts.images import registries

ACCOUNT, REGION = "123456789012", "eu-central-1"
PARAMETERS = {"SageMakerProjectName": "birds", "SageMakerProjectId": "p-abc123", "AWS::AccountId": ACCOUNT}
PARAMETERS |= {"AWS::Region": REGION, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com"}
JOBS = ["/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"]
ENDPOINT = "/aws/sagemaker/Endpoints/birds-p-abc123"
OTHER_PROJECT = ["headrace-p-other1-StartPipelineLog", "/aws/sagemaker/Endpoints/boats-p-other1"]
FOREIGN = [
    "/aws/codebuild/release",
    "/aws/lambda/billing",
    "/aws/sagemaker/Endpoints/headrace-prod",
    "/aws/sagemaker/NotebookInstances",
    "/aws/sagemaker/TransformJobs",
    "/aws/sagemaker/studio",
    "headrace-prod-StartPipelineLog5C5F2C1A-x1Zq",
    "vpc-flow-logs",
]
WRITE = ["logs:CreateLogStream", "logs:PutLogEvents"]
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def of_logs() -> list[str]:
    """Every action of CloudWatch Logs, by AWS's service authorization reference as cfn-lint has it."""
    known = json.loads(files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json").read_text())
    return [f"logs:{name}" for name in known["logs"]["Actions"]]


def value(template: dict[str, Any], given: Any) -> Any:
    """As CloudFormation would resolve it for the project birds; a resource is its name, or its ARN."""
    resources = template["Resources"]

    def named(logical_id: str) -> str:
        names = [item for key, item in resources[logical_id].get("Properties", {}).items() if key.endswith("Name")]
        return str(value(template, names[0])) if names else logical_id

    match given:
        case {"Ref": str(name)}:
            return PARAMETERS.get(name) or (named(name) if name in resources else name)
        case {"Fn::GetAtt": [str(name), "Arn"]} if resources[name]["Type"] == "AWS::Logs::LogGroup":
            return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{named(name)}:*"
        case {"Fn::GetAtt": [str(name), *_]}:
            return named(name)
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(str(value(template, part)) for part in parts)
        case {"Fn::Sub": str(text)}:
            for name, known in PARAMETERS.items():
                text = text.replace(f"${{{name}}}", known)
            return text
        case {"Fn::FindInMap": _}:
            return "763104351884"
        case dict():
            return {key: value(template, item) for key, item in given.items()}
        case list():
            return [value(template, item) for item in given]
    return given


@pytest.fixture(scope="module")
def policies(published: Path) -> dict[str, dict[str, Any]]:
    """The policy of each role of a project, by the role's logical ID in the published template."""
    template = yaml.safe_load((published / "template.yaml").read_text())
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            (role,) = resource["Properties"]["Roles"]
            found[role["Ref"]] = value(template, resource["Properties"]["PolicyDocument"])
    return found


@pytest.fixture(scope="module")
def boundary(catalog: Any) -> dict[str, Any]:
    document: dict[str, Any] = value(catalog.content, catalog.properties("Boundary/Policy")["PolicyDocument"])
    return document


def arns(group: str) -> Iterator[str]:
    """As CloudWatch Logs decides on a group, and on a stream of it."""
    yield f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}"
    yield f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:pipelines-1/algo-1"


def reached(policy: dict[str, Any], boundary: dict[str, Any], actions: list[str], group: str) -> set[str]:
    """The actions that a role with this policy may perform on the log group or a stream of it."""
    statements, limit = parse_policy_document(policy), parse_policy_document(boundary)
    return {
        action
        for action in actions
        for arn in arns(group)
        if evaluate(
            EvalContext(f"arn:aws:iam::{ACCOUNT}:role/r", "AssumedRole", ACCOUNT, action, arn, REGION),
            [statements],
            [limit],
        ).decision
        == "Allow"
    }


@pytest.mark.parametrize("group", [*FOREIGN, *OTHER_PROJECT])
def test_no_role_of_a_project_reaches_a_log_group_of_others(
    policies: dict[str, dict[str, Any]], boundary: dict[str, Any], group: str
) -> None:
    assert len(policies) > 8
    for role, policy in policies.items():
        assert reached(policy, boundary, of_logs(), group) == set(), role


@pytest.mark.parametrize("group", FOREIGN)
def test_a_policy_that_allows_everything_reaches_no_log_group_but_those_of_projects(
    boundary: dict[str, Any], group: str
) -> None:
    """A changed template may attach any policy to its roles."""
    assert reached(EVERYTHING, boundary, of_logs(), group) == set()


@pytest.mark.parametrize("group", [*JOBS, *OTHER_PROJECT, ENDPOINT, "headrace-p-abc123-NotifyLog"])
def test_nobody_deletes_logs_or_sends_them_elsewhere(boundary: dict[str, Any], group: str) -> None:
    usual = {"logs:createloggroup", "logs:createlogstream", "logs:describelogstreams", "logs:putlogevents"}
    read = {"logs:getlogevents"} if group in JOBS else set()
    assert reached(EVERYTHING, boundary, of_logs(), group) == usual | read


def test_roles_reach_the_log_groups_that_they_need(
    policies: dict[str, dict[str, Any]], boundary: dict[str, Any]
) -> None:
    """Without that the rows above would say nothing."""
    writes = {role: {group for group in [*JOBS, ENDPOINT] if reached(policy, boundary, WRITE, group) == set(WRITE)}
              for role, policy in policies.items()}  # fmt: skip
    assert {role[:-8]: groups for role, groups in writes.items() if groups} == {
        "JobRole": set(JOBS),
        "EndpointRole": {ENDPOINT},
    }
    readers = {role for role, policy in policies.items() if reached(policy, boundary, ["logs:GetLogEvents"], JOBS[0])}
    assert len(readers) == 1
    assert readers.pop().startswith("Notify")


def test_each_function_writes_its_own_log_alone(published: Path, policies: Any, boundary: dict[str, Any]) -> None:
    template = yaml.safe_load((published / "template.yaml").read_text())
    groups = {
        logical_id: value(template, item["Properties"]["LogGroupName"])
        for logical_id, item in template["Resources"].items()
        if item["Type"] == "AWS::Logs::LogGroup"
    }
    functions = [
        item["Properties"] for item in template["Resources"].values() if item["Type"] == "AWS::Lambda::Function"
    ]
    assert len(groups) == len(functions) >= 4
    for function in functions:
        own = function["LoggingConfig"]["LogGroup"]["Ref"]
        (role,) = listed(function["Role"]["Fn::GetAtt"])[:1]
        written = {logical_id for logical_id, group in groups.items()
                   if reached(policies[role], boundary, WRITE, group)}  # fmt: skip
        assert written == {own}
        assert reached(policies[role], boundary, WRITE, groups[own]) == set(WRITE)


def test_images_come_from_the_account_from_aws_and_from_those_that_the_settings_name(catalog: Any) -> None:
    document = catalog.properties("Boundary/Policy")["PolicyDocument"]
    (pull,) = [it for it in document["Statement"] if "ecr:BatchGetImage" in listed(it["Action"])]
    assert value(catalog.content, pull["Resource"]) == [
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*",
        f"arn:aws:ecr:{REGION}:763104351884:repository/*",
    ]


class StackIn:
    """What `registries` asks a stack for."""

    def __init__(self, region: str, aws: str) -> None:
        self.region, self.account, self.partition, self._aws = region, ACCOUNT, "aws", aws

    def regional_fact(self, fact: str, default: str) -> str:
        return self._aws or default


def test_a_custom_image_adds_its_account_and_a_region_without_images_of_aws_adds_none() -> None:
    own = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/training:3"
    found = registries(StackIn("il-central-1", ""), ["pytorch:2.13-cpu", own])  # type: ignore[arg-type]
    assert found == [
        "arn:aws:ecr:eu-west-1:999999999999:repository/*",
        f"arn:aws:ecr:il-central-1:{ACCOUNT}:repository/*",
    ]


def test_the_catalog_knows_the_images_of_projects(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    own = "999999999999.dkr.ecr.eu-west-1.amazonaws.com/training:3"
    path.write_text(
        f'[dev]\naccount = "{ACCOUNT}"\nregion = "{REGION}"\n[dev.catalog]\n[projects]\ntraining_image = "{own}"\n'
    )
    assert own in load_catalog_settings(path, "dev").images
