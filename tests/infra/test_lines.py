"""Model lines in the stack: each has its own resources, every role is granted what each line needs, and no more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from templates import listed, on, resolved, variables

from custom_resource.request import Deployment
from deploy_model.environment import Environment as DeployEnvironment
from environments.lines import MOST_LINES, LineSettings
from notify.environment import Environment as NotifyEnvironment
from pipeline_definition import PipelineSettings
from start_pipeline.environment import Environment as StartEnvironment

PIPELINE = PipelineSettings(image_size=96, tuning_jobs=2, pretrained="weights")
PETS = {
    "pets": LineSettings(data_sets=("pets*", "animals.zip"), endpoint_instance_type="ml.c5.xlarge", pipeline=PIPELINE)
}
LONGEST_ENVIRONMENT = "a" * 20
LONGEST = {
    f"{'b' * 15}{number}": LineSettings(data_sets=(f"{'c' * 100}{number}",), pipeline=PipelineSettings())
    for number in range(MOST_LINES)
}


@pytest.fixture
def lined(synthesized: Callable[..., Any]) -> Any:
    """prod, which retains its data, with a second line."""
    return synthesized("prod", lines=tuple(PETS.items()))


@pytest.fixture
def plain(synthesized: Callable[..., Any]) -> Any:
    return synthesized("prod")


def test_without_lines_nothing_in_the_template_speaks_of_lines(plain: Any) -> None:
    text = json.dumps(plain.content)
    assert '"LINES"' not in text
    assert "ModelLine" not in text
    assert "Line" not in {path.split("-")[0] for path in plain.resources}


def test_a_line_changes_no_resource_but_those_that_have_to_know_it(plain: Any, lined: Any) -> None:
    """A line replaces no resource: names and types stay, so that it can be added to a deployed environment."""
    changed = {
        path for path, resource in plain.resources.items() if _content(lined.resources[path]) != _content(resource)
    }
    assert changed == {
        "Approver/Role/DefaultPolicy",
        "Dashboard/Dashboard",
        "Decisions/Feed",
        "DeployModel/Function",
        "DeployModel/ModelDecided",
        "DeployModel/Role/DefaultPolicy",
        "EndpointRole/Role/DefaultPolicy",
        "FindChampion/Role/DefaultPolicy",
        "JobRole/Role",
        "JobRole/Role/DefaultPolicy",
        "Notices/EndpointFailed",
        "Notices/ExecutionEnded",
        "Notices/ModelWaits",
        "Notices/Queue/Feed",
        "Notify/Function",
        "Notify/Role/DefaultPolicy",
        "PipelineRole/Role",
        "PipelineRole/Role/DefaultPolicy",
        "Source/Deployment/Role/DefaultPolicy",
        "Source/Resource",
        "StartPipeline/Function",
        "StartPipeline/Role/DefaultPolicy",
        "Uploads/Feed",
    }
    assert {path for path in lined.resources if path not in plain.resources} == {
        "Line-pets/Registry/Group",
        "Line-pets/ClearUp",
        "Line-pets/Resource",
    }


def test_the_functions_read_the_lines_that_the_stack_declares(lined: Any) -> None:
    start = StartEnvironment.from_variables(variables(lined, "StartPipeline"))
    assert [line.pipeline_name for line in start.of_every_line] == ["headrace-prod", "headrace-prod-pets"]
    assert start.of_data_set("pets-2024").bindings["ModelPackageGroupName"] == "headrace-prod-pets"
    deploy = DeployEnvironment.from_variables(variables(lined, "DeployModel")).of_line("pets")
    assert (deploy.endpoint_name, deploy.instance_type, deploy.instance_count) == (
        "headrace-prod-pets", "ml.c5.xlarge", 2
    )  # fmt: skip
    assert deploy.model_package_group_arn.endswith(":model-package-group/headrace-prod-pets")
    notify = NotifyEnvironment.from_variables(variables(lined, "Notify"))
    assert [line.endpoint for line in notify.of_every_line] == ["headrace-prod", "headrace-prod-pets"]


def test_each_lines_definition_is_published_from_its_own_settings(lined: Any) -> None:
    properties = resolved(lined, lined.properties("Source/Resource"))
    copies = Deployment.from_event({"ResourceProperties": properties}).copies
    definitions = [copy for copy in copies if copy.to_key.startswith("pipelines/")]
    assert [copy.to_key for copy in definitions] == [
        "pipelines/headrace-prod.json",
        "pipelines/headrace-prod-pets.json",
    ]
    assert len({copy.from_key for copy in definitions}) == 2


@pytest.mark.parametrize(("environment", "retain"), [("prod", True), ("local", False)])
def test_a_line_is_cleared_up_by_a_policy_that_lives_as_long_as_the_line(
    synthesized: Callable[..., Any], environment: str, retain: bool
) -> None:
    stack = synthesized(environment, lines=tuple(PETS.items()))
    line = Deployment.from_event({"ResourceProperties": resolved(stack, stack.properties("Line-pets/Resource"))})
    assert (line.line, line.retain, line.copies) == ("pets", retain, ())
    statements = stack.properties("Line-pets/ClearUp")["PolicyDocument"]["Statement"]
    name = f"headrace-{environment}-pets"
    reached = {resource for statement in statements for action in listed(statement["Action"])
               for resource in on([statement], action)}  # fmt: skip
    assert all(name in resource or resource == "*" for resource in reached)
    assert bool(list(on(statements, "sagemaker:DeleteModelPackage"))) is not retain
    dependencies = listed(stack.resources["Line-pets/Resource"]["DependsOn"])
    for path in ("Line-pets/ClearUp", "Line-pets/Registry/Group", "Source/Resource"):
        assert stack.logical_id(path) in dependencies, "it is deleted before them"
    for feed in (
        path for path in stack.resources if stack.resources[path]["Type"] == "AWS::Lambda::EventSourceMapping"
    ):
        assert stack.logical_id("Line-pets/Resource") in listed(stack.resources[feed]["DependsOn"])


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("StartPipeline", "sagemaker:StartPipelineExecution"),
        ("StartPipeline", "sagemaker:DescribePipelineExecution"),
        ("FindChampion", "sagemaker:ListModelPackages"),
        ("PipelineRole", "sagemaker:CreateModelPackage"),
        ("DeployModel", "sagemaker:CreateModel"),
        ("DeployModel", "sagemaker:DeleteEndpoint"),
        ("DeployModel", "sagemaker:ListModelPackages"),
        ("Notify", "sagemaker:DescribeModelPackage"),
        ("Notify", "sagemaker:DescribePipelineExecution"),
    ],
)
def test_each_role_may_do_to_a_lines_resources_what_it_may_do_to_the_default_lines(
    lined: Any, plain: Any, role: str, action: str
) -> None:
    """The role gets no other permission: the resources that a line adds are named after it."""
    path = f"{role}/Role"
    before, now = (set(on(stack.statements(path), action)) for stack in (plain, lined))
    assert before < now
    assert {re.sub("headrace-prod-pets", "headrace-prod", resource) for resource in now - before} == before


def test_the_pipelines_of_all_lines_and_no_other_take_on_the_pipeline_role(lined: Any) -> None:
    (statement,) = lined.properties("PipelineRole/Role")["AssumeRolePolicyDocument"]["Statement"]
    sources = {source.rpartition(":")[2] for source in statement["Condition"]["ArnLike"]["aws:SourceArn"]}
    assert sources == {f"pipeline/headrace-prod{line}{run}" for line in ("", "-pets") for run in ("", "/*")}


def test_what_one_line_asks_for_beyond_the_ordinary_is_granted(lined: Any) -> None:
    assert list(on(lined.statements("PipelineRole/Role"), "sagemaker:CreateHyperParameterTuningJob"))
    assert any("pretrained/*" in resource for resource in on(lined.statements("JobRole/Role"), "s3:GetObject"))


def test_events_of_every_line_reach_the_functions(lined: Any) -> None:
    names = ["headrace-prod", "headrace-prod-pets"]
    paths = ("DeployModel/ModelDecided", "Notices/ModelWaits", "Notices/EndpointFailed", "Notices/ExecutionEnded")
    detail = {path: lined.properties(path)["EventPattern"]["detail"] for path in paths}
    assert detail["DeployModel/ModelDecided"]["ModelPackageGroupName"] == names
    assert detail["Notices/ModelWaits"]["ModelPackageGroupName"] == names
    assert detail["Notices/EndpointFailed"]["EndpointName"] == names
    assert [arn.rpartition("/")[2] for arn in detail["Notices/ExecutionEnded"]["pipelineArn"]] == names


def test_an_output_names_the_lines_for_the_command_line(lined: Any) -> None:
    assert json.loads(lined.content["Outputs"]["ModelLines"]["Value"]) == {"pets": ["pets*", "animals.zip"]}


def test_the_audit_has_nothing_to_say_of_lines(lined: Any) -> None:
    assert lined.findings == ""


def test_as_many_lines_as_are_allowed_fit_into_every_limit(synthesized: Callable[..., Any]) -> None:
    """With the longest names: inline policies of a role 10,240 characters, its trust 2,048, variables 4 KB."""
    stack = synthesized("prod", named=LONGEST_ENVIRONMENT, lines=tuple(LONGEST.items()))
    roles = [path for path, resource in stack.resources.items() if resource["Type"] == "AWS::IAM::Role"]
    for path in roles:
        trust = json.dumps(resolved(stack, stack.properties(path)["AssumeRolePolicyDocument"]), separators=(",", ":"))
        assert len(trust) <= 2_048, path
        role = {"Ref": stack.logical_id(path)}
        policies = [resource["Properties"]["PolicyDocument"] for resource in stack.resources.values()
                    if resource["Type"] == "AWS::IAM::Policy" and role in resource["Properties"]["Roles"]]  # fmt: skip
        text = json.dumps([_with_long_names(resolved(stack, policy)) for policy in policies], separators=(",", ":"))
        assert len(text) <= 10_240, path
    for function in ("StartPipeline", "DeployModel", "Notify"):
        given = _with_long_names(variables(stack, function))
        assert sum(len(name) + len(value) for name, value in given.items()) <= 4_096, function


def _content(resource: dict[str, Any]) -> Any:
    """Without what the bytes of the asset decide."""
    return json.loads(re.sub("[0-9a-f]{64}", "<hash>", json.dumps(resource)))


def _with_long_names(value: Any) -> Any:
    """What stands for a bucket, a queue, a key or a log group, as long as AWS's own names and ARNs are."""
    match value:
        case str() if re.match("[A-Z][A-Za-z]+(/[A-Za-z]+)+", value):
            return "x" * 100 + value.rpartition("/")[2]
        case str():
            return value.replace("data-bucket", "x" * 60)
        case dict():
            return {key: _with_long_names(item) for key, item in value.items()}
        case list():
            return [_with_long_names(item) for item in value]
    return value
