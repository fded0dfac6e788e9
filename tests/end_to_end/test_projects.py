"""Two projects of the published template side by side: each lives on its own upload, and neither reaches the other.

As a platform team publishes it and two other teams use it; the second half is the owner's, without this repository.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from deployed_app import Images, project_with
from pipeline_runs import free_port

from headrace.client import model_packages as registry
from headrace.client.endpoint import ask, wait_for_endpoint
from headrace.client.environment import LOCAL, Environment, open_environment
from headrace.client.executions import Execution, list_executions, list_steps, read_execution
from headrace.client.projects import choose_project, read_project
from headrace.commands import decision, projects, publish, upload
from headrace.commands.predict import list_images
from headrace.project.local_cloud import ProcessCloud
from headrace.terminal.output import Output

pytestmark = pytest.mark.timeout(600)

CHOICES = {"Capacity": "spot", "TrainInstanceType": "ml.m5.xlarge", "AccuracyThreshold": "0.7"}
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"}
BIRDS, FISH = "birds", "fish"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's sources, in which the table of projects asks for quick ones."""
    return project_with(tmp_path_factory.mktemp("project"), table="projects", quiet_seconds="3")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Environment]:
    """An account in which the template is published, and no environment is deployed."""
    state = tmp_path_factory.mktemp("cloud") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_STATE", str(state))
        patch.chdir(folder)
        cloud = ProcessCloud()
        cloud.start(state, port=free_port())
        try:
            environment = open_environment(LOCAL, cloud)
            publish.publish(environment, Output())
            yield environment
        finally:
            cloud.stop(state)


@pytest.fixture(scope="module")
def teams(account: Environment) -> dict[str, Environment]:
    """Two projects, each as its own team's command line sees it."""
    found = {}
    for name in (BIRDS, FISH):
        projects.create(account, Output(), name=name, settings=CHOICES, description="", wait=True, interval=0.3)
        found[name] = open_environment(LOCAL, ProcessCloud())
        choose_project(found[name], name)
    return found


@pytest.fixture(scope="module")
def roles(account: Environment, teams: dict[str, Environment]) -> dict[str, dict[str, str]]:
    """The ARNs of each project's roles, by what they are called in the template; this test may take them on."""
    iam, found = account.client("iam"), {}
    for name, team in teams.items():
        found[name] = dict(_roles(account, team.stack_name))
        for arn in found[name].values():
            role = arn.rpartition("/")[2]
            trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
            trust["Statement"].append(
                {"Effect": "Allow", "Principal": {"AWS": account.account}, "Action": "sts:AssumeRole"}
            )
            iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    return found


def _roles(account: Environment, stack: str) -> Iterator[tuple[str, str]]:
    pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    for page in pages:
        for item in page["StackResourceSummaries"]:
            if item["ResourceType"] == "AWS::IAM::Role":
                arn = f"arn:aws:iam::{account.account}:role/{item['PhysicalResourceId']}"
                yield item["LogicalResourceId"][:-8].removesuffix("Role"), arn


def as_role(account: Environment, arn: str, service: str) -> Any:
    keys = account.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    running = account.running
    assert running is not None
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], account.region)
    return session.client(service, endpoint_url=running.endpoint, verify=str(running.certificate))


def finished_run(team: Environment, *, after: datetime) -> Execution:
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        for execution in list_executions(team):
            if execution.started >= after and not read_execution(team, execution.arn).going_on:
                return read_execution(team, execution.arn)
        time.sleep(0.5)
    raise AssertionError("no execution has ended")


def reasons(team: Environment, execution: Execution) -> list[tuple[str, str | None]]:
    return [(step.name, step.reason) for step in list_steps(team, execution)]


def test_each_project_trains_on_its_own_upload(teams: dict[str, Environment], images: Images) -> None:
    began = datetime.now(UTC)
    for name, team in teams.items():
        upload.upload(team, Output(), path=images.seen, name=name, delete=False)
    for name, team in teams.items():
        execution = finished_run(team, after=began)
        assert execution.status == "Succeeded", reasons(team, execution)
        assert f"pipeline/{team.stack.pipeline}/" in execution.arn
        (model,) = registry.list_models(team)
        assert f"model-package/{team.stack.model_package_group}/1" in model.arn
        assert model.data_set == name


def test_what_was_chosen_is_the_pipelines_default(teams: dict[str, Environment]) -> None:
    team = teams[BIRDS]
    described = team.client("sagemaker").describe_pipeline(PipelineName=team.stack.pipeline)
    definition = json.loads(described["PipelineDefinition"])
    defaults = {item["Name"]: item.get("DefaultValue") for item in definition["Parameters"]}
    assert (defaults["TrainInstanceType"], defaults["AccuracyThreshold"]) == ("ml.m5.xlarge", 0.7)
    assert "TrainOnDemand" not in {step["Name"] for step in definition["Steps"]}


Probe = Callable[[Any, Environment], object]
PROBES: dict[str, tuple[str, Probe]] = {
    "s3:GetObject": ("s3", lambda s3, team: s3.get_object(Bucket=team.stack.data_bucket, Key="runs/none/x")),
    "s3:PutObject": ("s3", lambda s3, team: s3.put_object(Bucket=team.stack.data_bucket, Key="runs/x", Body=b"")),
    "s3:ListBucket": ("s3", lambda s3, team: s3.list_objects_v2(Bucket=team.stack.data_bucket, Prefix="runs/")),
    "sagemaker:StartPipelineExecution": (
        "sagemaker",
        lambda api, team: api.start_pipeline_execution(PipelineName=team.stack.pipeline),
    ),
    "sagemaker:DescribePipeline": (
        "sagemaker",
        lambda api, team: api.describe_pipeline(PipelineName=team.stack.pipeline),
    ),
    "sagemaker:UpdatePipeline": (
        "sagemaker",
        lambda api, team: api.update_pipeline(PipelineName=team.stack.pipeline, PipelineDisplayName="mine"),
    ),
    "sagemaker:DeletePipeline": (
        "sagemaker",
        lambda api, team: api.delete_pipeline(PipelineName=team.stack.pipeline, ClientRequestToken="x" * 32),
    ),
    "sagemaker:ListModelPackages": (
        "sagemaker",
        lambda api, team: api.list_model_packages(ModelPackageGroupName=team.stack.model_package_group),
    ),
    "sagemaker:UpdateModelPackage": (
        "sagemaker",
        lambda api, team: api.update_model_package(
            ModelPackageArn=registry.list_models(team)[0].arn, ModelApprovalStatus="Rejected"
        ),
    ),
    "sqs:SendMessage": (
        "sqs",
        lambda sqs, team: sqs.send_message(QueueUrl=team.stack.upload_queue_url, MessageBody="{}"),
    ),
}


def test_no_role_of_a_project_gets_at_anothers_bucket_pipeline_group_or_queue(
    account: Environment, teams: dict[str, Environment], roles: dict[str, dict[str, str]]
) -> None:
    for name, arn in roles[BIRDS].items():
        for action, (service, call) in PROBES.items():
            assert denied(lambda: call(as_role(account, arn, service), teams[FISH])), (name, action)  # noqa: B023


@pytest.mark.parametrize(
    ("role", "action"),
    [
        ("Job", "s3:PutObject"),
        ("Notify", "s3:ListBucket"),
        ("StartPipeline", "sagemaker:DescribePipeline"),
        ("FindChampion", "sagemaker:ListModelPackages"),
    ],
)
def test_the_same_call_on_its_own_things_is_let_through(
    account: Environment, teams: dict[str, Environment], roles: dict[str, dict[str, str]], role: str, action: str
) -> None:
    """So that it is the other project for which it was denied."""
    service, call = PROBES[action]
    call(as_role(account, roles[BIRDS][role], service), teams[BIRDS])


def denied(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] in DENIED
    return False


@pytest.mark.builds_on("test_each_project_trains_on_its_own_upload")
def test_its_owner_changes_code_and_definition_without_the_repository(
    account: Environment, teams: dict[str, Environment], roles: dict[str, dict[str, str]], images: Images
) -> None:
    """The owner needs S3 only: fetches code and definition, changes them and puts them back; the next run uses them."""
    team = teams[BIRDS]
    s3, bucket = as_role(account, roles[BIRDS]["Maintainer"], "s3"), team.stack.data_bucket
    seed = s3.get_object(Bucket=bucket, Key="code/source.tar.gz")["Body"].read()
    s3.put_object(Bucket=bucket, Key="code/source.tar.gz", Body=with_note(seed, "the owner's own code"))
    key = f"pipelines/{team.stack.pipeline}.json"
    definition = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    next(item for item in definition["Parameters"] if item["Name"] == "Epochs")["DefaultValue"] = 15
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(definition).encode())
    began = datetime.now(UTC)
    team.client("sqs").send_message(
        QueueUrl=team.stack.upload_queue_url, MessageBody=json.dumps({"headrace": "run-again", "data_set": BIRDS})
    )
    execution = finished_run(team, after=began)
    assert execution.status == "Succeeded", reasons(team, execution)
    logs = team.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", filterPattern='"owner"')["events"]
    assert any("the owner's own code" in event["message"] for event in events)
    running = team.client("sagemaker").describe_pipeline(PipelineName=team.stack.pipeline)["PipelineDefinition"]
    assert {"Name": "Epochs", "Type": "Integer", "DefaultValue": 15} in json.loads(running)["Parameters"]


def with_note(archive: bytes, note: str) -> bytes:
    """The archive, of which every job says so when it starts."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as seed, tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for entry in seed:
            file = seed.extractfile(entry)
            assert file is not None
            content = file.read()
            if entry.name == "entry.py":
                start = b'if __name__ == "__main__":'
                content = content.replace(start, f"print({note!r}, flush=True)\n".encode() + start)
            entry.size = len(content)
            target.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.builds_on("test_each_project_trains_on_its_own_upload")
def test_an_approved_model_is_served_by_its_projects_own_endpoint(
    teams: dict[str, Environment], images: Images
) -> None:
    team = teams[FISH]
    decision.decide(team, Output(), version="latest", approval=registry.APPROVED, note=None)
    wait_for_endpoint(team, seconds=120, interval=0.3)
    answers = ask(team, list_images([images.held_out]))
    assert len(answers) == 30
    assert team.stack.endpoint.startswith(f"{FISH}-p-")


def test_another_choice_reaches_the_pipeline(account: Environment, teams: dict[str, Environment]) -> None:
    team, settings = teams[FISH], {"AccuracyThreshold": "0.75"}
    projects.update(account, Output(), name=FISH, settings=settings, unset=[], wait=True, interval=0.3)
    deadline = time.monotonic() + 60
    while (
        '"DefaultValue":0.75'
        not in (team.client("sagemaker").describe_pipeline(PipelineName=team.stack.pipeline)["PipelineDefinition"])
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)


@pytest.mark.parametrize("name", [BIRDS, FISH])
def test_a_deleted_project_leaves_nothing_behind(
    account: Environment, teams: dict[str, Environment], name: str
) -> None:
    """The other one, if it still exists, keeps working."""
    project = read_project(account, name)
    assert remains(account, project.id)
    projects.delete(account, Output(), name=name, wait=True, interval=0.3)
    assert remains(account, project.id) == []
    if name == BIRDS:
        assert teams[FISH].client("sagemaker").describe_pipeline(PipelineName=teams[FISH].stack.pipeline)


def remains(account: Environment, number: str) -> list[str]:
    """Everything in the account whose name holds the project's number."""
    sagemaker, client = account.client("sagemaker"), account.client
    listed = {
        "bucket": [item["Name"] for item in client("s3").list_buckets()["Buckets"]],
        "role": [item["RoleName"] for page in pages(client("iam"), "list_roles") for item in page["Roles"]],
        "queue": client("sqs").list_queues().get("QueueUrls", []),
        "topic": [item["TopicArn"] for item in client("sns").list_topics()["Topics"]],
        "function": [
            item["FunctionName"] for page in pages(client("lambda"), "list_functions") for item in page["Functions"]
        ],
        "log group": [
            item["logGroupName"]
            for page in pages(client("logs"), "describe_log_groups")
            for item in page["logGroups"]
            if not item["logGroupName"].startswith("/aws/sagemaker/")  # SageMaker's own, as on AWS
        ],
        "rule": [item["Name"] for item in client("events").list_rules()["Rules"]],
        "alarm": [
            item["AlarmName"]
            for page in pages(client("cloudwatch"), "describe_alarms")
            for item in page["MetricAlarms"]
        ],
        "dashboard": [item["DashboardName"] for item in client("cloudwatch").list_dashboards()["DashboardEntries"]],
        "pipeline": [item["PipelineName"] for item in sagemaker.list_pipelines()["PipelineSummaries"]],
        "group": [
            item["ModelPackageGroupName"]
            for item in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        ],
        "endpoint": [item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]],
        "configuration": [item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "model": [item["ModelName"] for item in sagemaker.list_models()["Models"]],
    }
    return [f"{kind} {name}" for kind, names in listed.items() for name in names if number in name]


def pages(client: Any, operation: str) -> Any:
    return client.get_paginator(operation).paginate()
