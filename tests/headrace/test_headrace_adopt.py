"""A new stack takes over what a destroyed one retained; the whole way is in tests/end_to_end."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from scripted_aws import ACCOUNT, REGION
from scripted_cloud import FakeRunning

from headrace.client.environment import Environment
from headrace.commands import adopt, cdk
from headrace.errors import SetupError
from headrace.project.session import isolated_config, isolated_session
from headrace.terminal.output import Output

RETAINED = {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"}


@pytest.fixture
def environment(ministack: str, tmp_path: Path) -> Environment:
    """An environment of its own name, in which no stack has been."""
    running = FakeRunning(ministack, tmp_path / "localhost.crt")
    name = f"e{uuid.uuid4().hex[:8]}"
    session = isolated_session(ACCOUNT, running.secret_key(ACCOUNT), REGION)
    return Environment(name, session, isolated_config(), account=ACCOUNT, running=running)


def synthesize(monkeypatch: pytest.MonkeyPatch, resources: dict[str, Any]) -> None:
    def write(environment: Environment, folder: Path) -> None:
        (folder / f"{environment.stack_name}.template.json").write_text(json.dumps({"Resources": resources}))

    monkeypatch.setattr(cdk, "synthesize", write)


def make_and_destroy(environment: Environment, resources: dict[str, Any]) -> None:
    cloudformation, name = environment.client("cloudformation"), environment.stack_name
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def test_a_retained_bucket_is_in_the_new_stack_under_its_old_name(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_and_destroy(environment, {"Data": RETAINED, "Other": {"Type": "AWS::SQS::Queue"}})
    synthesize(monkeypatch, {"Data": RETAINED})
    adopt.adopt(environment, Output(as_json=True))
    adopted = json.loads(capsys.readouterr().out)["adopted"]
    summaries = environment.client("cloudformation").list_stack_resources(StackName=environment.stack_name)
    found = [(item["LogicalResourceId"], item["PhysicalResourceId"]) for item in summaries["StackResourceSummaries"]]
    assert found == list(adopted.items())
    assert list(adopted) == ["Data"]


def test_a_stack_that_is_there_is_left_alone(environment: Environment) -> None:
    template = json.dumps({"Resources": {"Data": RETAINED}})
    environment.client("cloudformation").create_stack(StackName=environment.stack_name, TemplateBody=template)
    with pytest.raises(SetupError, match="there is a stack"):
        adopt.adopt(environment, Output())


def test_a_stack_that_could_not_be_created_is_removed_first(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is after a deployment that was tried without adopting: protected, and in the way.

    Unlike CloudFormation, ministack then forgets the stack of that name that was deleted before.
    """
    make_and_destroy(environment, {"Data": RETAINED})
    kept = adopt._kept(environment)
    monkeypatch.setattr(adopt, "_kept", lambda environment: kept)
    cloudformation, name = environment.client("cloudformation"), environment.stack_name
    failing = {"Resources": {"Bad": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Handle": "none"}}}}
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(failing), EnableTerminationProtection=True)
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    synthesize(monkeypatch, {"Data": RETAINED})
    adopt.adopt(environment, Output(as_json=True))
    said = capsys.readouterr()
    assert list(json.loads(said.out)["adopted"]) == ["Data"]
    assert "which could not be created" in said.err


def test_without_a_destroyed_stack_there_is_nothing_to_adopt(environment: Environment) -> None:
    with pytest.raises(SetupError, match="was destroyed") as caught:
        adopt.adopt(environment, Output())
    assert caught.value.hint == environment.deploy_command


def test_a_stack_that_left_nothing_is_said_to_have_left_nothing(environment: Environment) -> None:
    make_and_destroy(environment, {"Other": {"Type": "AWS::SQS::Queue"}})
    with pytest.raises(SetupError, match="left nothing"):
        adopt.adopt(environment, Output())


def test_what_the_app_no_longer_has_is_named(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    make_and_destroy(environment, {"Data": RETAINED})
    synthesize(monkeypatch, {"Renamed": RETAINED})
    with pytest.raises(SetupError, match="was kept as Data") as caught:
        adopt.adopt(environment, Output())
    assert "check out the version" in str(caught.value.hint)


def test_a_bucket_deleted_by_other_hands_stops_the_import(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_and_destroy(environment, {"Data": RETAINED})
    synthesize(monkeypatch, {"Data": RETAINED})
    for bucket in environment.client("s3").list_buckets()["Buckets"]:
        if bucket["Name"].startswith(environment.stack_name):
            environment.client("s3").delete_bucket(Bucket=bucket["Name"])
    with pytest.raises(SetupError, match="Bucket not found"):
        adopt.adopt(environment, Output())


def test_what_a_refused_import_left_does_not_count_as_a_stack(environment: Environment) -> None:
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
    environment.client("cloudformation").create_change_set(
        StackName=environment.stack_name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=template
    )
    with pytest.raises(SetupError, match="was destroyed"):
        adopt.adopt(environment, Output())


def test_what_a_failed_deployment_left_is_not_taken_for_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployed without adopting, the new stack fails as the group's name is taken, and leaves an empty bucket."""
    stacks = [{"StackName": "headrace-prod", "StackId": name, "CreationTime": age} for age, name in enumerate("ab")]
    left = {
        "a": [adopt.Kept("Data", "AWS::S3::Bucket", "the-data"), adopt.Kept("Group", adopt.GROUP, "arn")],
        "b": [adopt.Kept("Data", "AWS::S3::Bucket", "empty")],
    }

    class CloudFormation:
        def get_paginator(self, name: str) -> Any:
            return SimpleNamespace(paginate=lambda **_: [{"StackSummaries": stacks}])

    monkeypatch.setattr(adopt, "_left_by", lambda cloudformation, stack_id: left[stack_id])
    environment = SimpleNamespace(
        stack_name="headrace-prod", region=REGION, client=lambda service: CloudFormation(), find_stack=lambda name: None
    )
    assert adopt._kept(environment) == left["a"]  # type: ignore[arg-type]


def test_an_app_that_cannot_be_synthesized_is_said_with_a_command_that_shows_it(
    environment: Environment, tmp_path: Path
) -> None:
    make_and_destroy(environment, {"Data": RETAINED})
    (tmp_path / "cdk.json").write_text('{"app": "false"}')
    with pytest.raises(SetupError) as caught:
        adopt.adopt(environment, Output())
    assert str(caught.value.hint).startswith("npx cdk synth -c env=")


def test_the_registry_of_a_line_that_is_no_longer_declared_is_left_and_named(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The events of the destroyed stack name it as well: it was retained when the line was removed."""
    make_and_destroy(environment, {"Data": RETAINED})
    group = adopt.Kept("LinepetsRegistryGroup0123ABCD", adopt.GROUP, "arn:aws:sagemaker:x:model-package-group/x-pets")
    left_by = adopt._left_by
    monkeypatch.setattr(adopt, "_left_by", lambda *arguments: [*left_by(*arguments), group])
    synthesize(monkeypatch, {"Data": RETAINED})
    adopt.adopt(environment, Output(as_json=True))
    said = capsys.readouterr()
    assert list(json.loads(said.out)["adopted"]) == ["Data"]
    assert "left: arn:aws:sagemaker:x:model-package-group/x-pets, whose model line is not declared" in said.err
