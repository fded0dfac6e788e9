"""`headrace projects`, and --project with other commands: against a real local cloud, with a template of outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cli_reference import every_command
from pipeline_runs import free_port
from projects_in_use import client, launch_role, put_template
from scripted_aws import ACCOUNT, OUTPUTS, REGION, FakeAws
from scripted_cloud import Result
from started_processes import starts_process

from headrace.cli.main import main
from headrace.project.local_cloud import ProcessCloud
from local_cloud import process
from local_cloud.process import Running

Headrace = Callable[..., Result]
QUEUES = {name: {"Ref": "Queue"} for name in OUTPUTS if name.endswith("QueueUrl")}
VALUES: dict[str, Any] = OUTPUTS | QUEUES | {"DataBucketName": {"Ref": "Data"}}
TEMPLATE = {
    "Parameters": {
        "Seconds": {"Type": "Number", "Default": "30", "MaxValue": 100},
        "Colour": {"Type": "String", "Default": "red"},
        "SageMakerProjectName": {"Type": "String"},
    },
    "Resources": {
        "Data": {"Type": "AWS::S3::Bucket"},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": {"Ref": "Seconds"}}},
    },
    "Outputs": {name: {"Value": value} for name, value in VALUES.items()},
}


@pytest.fixture(scope="module")
@starts_process
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A local cloud with a template in it and the catalog's stack, of whose outputs the commands know."""
    running = process.start(tmp_path_factory.mktemp("published") / "state", port=free_port())
    values = {
        "TemplateUrl": put_template(running, json.dumps(TEMPLATE)),
        "LaunchRoleArn": launch_role(running, "launch"),
        "TemplateBucketName": "templates",
    }
    outputs = {name: {"Value": value} for name, value in values.items()}
    catalog = {"Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}, "Outputs": outputs}
    cloudformation = client(running, "cloudformation")
    cloudformation.create_stack(StackName="headrace-catalog", TemplateBody=json.dumps(catalog))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="headrace-catalog", WaiterConfig={"Delay": 1})
    yield running
    process.stop(running.state)


@pytest.fixture
def here(
    published: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Result]:
    """Runs headrace in that local cloud; changes to projects are asked for every 0.1 s."""
    monkeypatch.setenv("HEADRACE_STATE", str(published.state))

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        often = ["--interval", "0.1"] if {"create", "update", "delete"} & set(arguments) else []
        status = main([*arguments, *often], cloud=ProcessCloud())
        said = capsys.readouterr()
        return Result(status, said.out, said.err)

    return run


@pytest.mark.process
def test_a_project_is_created_shown_used_and_deleted(here: Headrace, published: Running, tmp_path: Path) -> None:
    """An upload with --project goes to the project's bucket."""
    made = here("projects", "create", "birds", "--set", "Seconds=50", "--description", "Which bird?")
    assert made.status == 0, made.err
    assert "birds is Create" in made.err
    assert "next: headrace --project birds upload FOLDER" in made.err
    shown = here("projects", "show", "birds", "--json").data
    assert (shown["status"], shown["parameters"], shown["stack"]) == (
        "CreateCompleted", {"Seconds": "50"}, f"SP-{shown['id']}",
    )  # fmt: skip
    assert "next: headrace --project birds status" in here("projects", "show", "birds").err
    here("projects", "create", "cats")
    assert [item["name"] for item in here("projects", "list", "--json").data] == ["birds", "cats"]
    assert "Which bird?" in here("projects", "list").out

    for name in ("owl", "wren"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    sent = here("--project", "birds", "upload", str(tmp_path / "data"))
    assert sent.status == 0, sent.err
    bucket = sent.out.split("/")[2]
    assert bucket.startswith(f"sp-{shown['id']}-data-")
    kept = client(published, "s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert {item["Key"] for item in kept} == {"datasets/data/owl/a.png", "datasets/data/wren/a.png"}
    assert "next: headrace --project birds watch" in sent.err

    blocked = here("projects", "delete", "birds")
    assert blocked.status == 1
    assert "the project birds is DeleteFailed: DELETE_FAILED: Data (AWS::S3::Bucket): " in blocked.err
    assert "hint: headrace projects delete birds" in blocked.err
    for item in kept:
        client(published, "s3").delete_object(Bucket=bucket, Key=item["Key"])
    gone = here("projects", "delete", "birds", "--json")
    assert (gone.status, gone.data["status"]) == (0, "DeleteCompleted"), gone.err
    assert [item["name"] for item in here("projects", "list", "--json").data] == ["cats"]
    missing = here("--project", "birds", "runs")
    assert missing.status == 1
    assert missing.err == "error: there is no project birds in us-east-1\n\nhint: headrace projects list\n"


def test_status_of_a_project_is_of_its_stack(here: Headrace, published: Running) -> None:
    here("projects", "create", "dogs")
    role = launch_role(published, "pipeline", service="sagemaker.amazonaws.com")
    step = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "end"}}
    client(published, "sagemaker").create_pipeline(
        PipelineName=OUTPUTS["PipelineName"], RoleArn=role,
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": [step]}),
    )  # fmt: skip
    client(published, "sagemaker").create_model_package_group(ModelPackageGroupName=OUTPUTS["ModelPackageGroupName"])
    found = here("--project", "dogs", "status")
    assert found.status == 0, found.err
    assert "SP-p-" in found.out
    assert "next: headrace --project dogs upload FOLDER" in found.err
    assert here("status", "--project", "dogs", "--json").data["project"] == "dogs"
    assert "there is no project nothing" in here("--project", "nothing", "status").err


def test_an_update_keeps_what_is_not_named(here: Headrace) -> None:
    here("projects", "create", "changes", "--set", "Seconds=40", "--set", "Colour=blue")
    changed = here("projects", "update", "changes", "--set", "Seconds=41", "--json")
    assert changed.status == 0, changed.err
    assert (changed.data["status"], changed.data["parameters"]) == (
        "UpdateCompleted", {"Seconds": "41", "Colour": "blue"},
    )  # fmt: skip
    assert here("projects", "update", "changes", "--unset", "Colour", "--json").data["parameters"] == {"Seconds": "41"}
    unknown = here("projects", "update", "changes", "--unset", "Color")
    assert unknown.status == 2
    assert "the project changes has no Color to unset" in unknown.err
    assert "hint: it has Seconds" in unknown.err
    failed = here("projects", "update", "changes", "--set", "Seconds=101")
    assert failed.status == 1
    assert "the project changes is UpdateFailed: " in failed.err
    assert "hint: headrace projects update changes --set" in failed.err
    assert here("projects", "show", "changes", "--json").data["parameters"] == {"Seconds": "41"}
    assert here("--project", "changes", "redrive", "--list").status == 0


def test_a_failed_creation_says_why_and_what_to_do(here: Headrace) -> None:
    failed = here("projects", "create", "typo", "--set", "Secnods=1")
    assert failed.status == 1
    assert failed.err.endswith(
        "error: the project typo is CreateFailed: Parameters: [Secnods] do not exist in the template\n\n"
        "hint: headrace projects delete typo   # then create it again\n"
    )
    assert "do not exist in the template" in here("projects", "show", "typo").out
    unusable = here("--project", "typo", "runs")
    assert "error: the project typo is CreateFailed: Parameters: [Secnods]" in unusable.err
    assert "hint: headrace projects show typo" in unusable.err
    again = here("projects", "create", "typo")
    assert "error: there is a project typo already\n\nhint: headrace projects show typo" in again.err
    assert here("projects", "delete", "typo").status == 0


def project(name: str, status: str, **more: Any) -> dict[str, Any]:
    """As DescribeProject shows it."""
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:project/{name}"
    given = {"ProjectName": name, "ProjectArn": arn, "ProjectId": "p-abc", "ProjectStatus": status}
    return given | {"CreationTime": datetime.now(UTC)} | more


def test_nobody_has_to_wait_for_a_project_nor_can_use_it_before_it_is_complete(
    headrace: Headrace, aws: FakeAws
) -> None:
    aws.outputs = {"TemplateUrl": "https://localhost/b/k", "LaunchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/launch"}
    aws.outputs |= {"TemplateBucketName": "b"}
    detail = {"TemplateName": "headrace", "TemplateURL": aws.outputs["TemplateUrl"]}
    details = [{"CfnTemplateProviderDetail": detail}]
    aws.answers["CreateProject"] = {"ProjectArn": project("slow", "")["ProjectArn"], "ProjectId": "p-abc"}
    aws.answers["DescribeProject"] = project("slow", "CreateInProgress", TemplateProviderDetails=details)
    begun = headrace("projects", "create", "slow", "--no-wait")
    assert begun.status == 0, begun.err
    assert "slow is CreateInProgress …" in begun.err
    assert "next: headrace projects show slow" in begun.err
    early = headrace("--project", "slow", "runs")
    assert early.err == "error: the project slow is CreateInProgress\n\nhint: headrace projects show slow\n"


def test_without_a_catalog_the_hint_is_to_publish(headrace: Headrace, aws: FakeAws) -> None:
    aws.outputs = None
    result = headrace("projects", "create", "birds")
    assert result.status == 1
    assert "there is no stack headrace-catalog in us-east-1" in result.err
    assert result.err.endswith("\n\nhint: headrace publish\n")


def test_a_project_from_service_catalog_is_found_by_its_stacks_tag(headrace: Headrace, aws: FakeAws) -> None:
    """Such a project names its product, not its stack; it is updated in Service Catalog."""
    product = {"ProductId": "prod-1"}
    aws.answers["DescribeProject"] = project("theirs", "CreateCompleted", ServiceCatalogProvisioningDetails=product)
    aws.answers["ListPipelineExecutions"] = {"PipelineExecutionSummaries": []}
    lost = headrace("--project", "theirs", "runs")
    assert "the project theirs has no stack in us-east-1: none has the tag sagemaker:project-id = p-abc" in lost.err
    aws.stack_tags = {"sagemaker:project-id": "p-abc"}
    assert headrace("--project", "theirs", "runs").status == 0
    assert aws.requests("DescribeStacks")[-1]["StackName"] == "the-only-one"
    assert "was made from Service Catalog" in headrace("projects", "update", "theirs").err


@pytest.mark.parametrize(
    "arguments",
    [
        ("projects",), ("projects", "create"), ("projects", "create", "-x-"), ("projects", "create", "x" * 33),
        ("projects", "create", "x", "--set", "y"), ("projects", "list", "--project", "x"),
        ("--project", "x", "deploy"), ("--project", "x", "adopt"),
    ],
)  # fmt: skip
def test_a_mistake_about_projects_has_status_2(headrace: Headrace, arguments: tuple[str, ...]) -> None:
    result = headrace(*arguments)
    assert result.status == 2
    assert "Traceback" not in result.err


def test_a_project_with_capitals_is_refused_with_the_name_to_use(headrace: Headrace) -> None:
    """Case-sensitive IAM and lower-case ARNs of models, as AWS's samples show them, would lock its model out."""
    result = headrace("projects", "create", "Birds2")
    assert result.status == 2
    assert "error: Birds2 has capital letters, with which IAM might not know the project's models" in result.err
    assert "hint: headrace projects create birds2" in result.err


@pytest.mark.parametrize("action", ["list", "show", "create", "update", "delete"])
def test_every_action_and_argument_is_explained(action: str) -> None:
    command: Any = dict(every_command())["projects", action]
    assert len(command.help) > 30
    assert all(parameter.help for parameter in command.params)
