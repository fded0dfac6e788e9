"""The stack's custom resource: what a deployment puts into the bucket, and what is left of a destroyed stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudformation_requests import OTHERS, PHYSICAL_ID, Stack
from fake_aws import Execution, Refused
from worlds import BUCKET, CLIENTS, NAME, event

import custom_resource.request
from custom_resource import destroy, handler
from custom_resource.deadline import Deadline
from shared.errors import DestroyError


def test_a_deployment_copies_the_assets_and_writes_the_marker(stack: Stack) -> None:
    answer = stack.request("create")
    assert {key: stack.cloud.text(BUCKET, key) for key in stack.cloud.keys(BUCKET)} == {
        "champions/none/NONE": b"no champion yet",
        "code/aaa/source.tar.gz": b"code",
        f"pipelines/{NAME}.json": b"definition",
    }
    assert answer["Status"] == "SUCCESS"


def test_the_answer_is_what_cloudformation_asks_for(stack: Stack) -> None:
    asked = event("custom_resource_create")
    assert stack.request("create") == {
        "Status": "SUCCESS",
        "Reason": "done",
        "PhysicalResourceId": PHYSICAL_ID,
        **{name: asked[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        "content-type": "",
        "path": "/answer?signature=x%2Fy",
    }


def test_an_update_takes_the_newly_deployed_definition_and_keeps_the_old_as_a_version(stack: Stack) -> None:
    stack.request("create")
    stack.cloud.put(BUCKET, f"pipelines/{NAME}.json", b"a maintainer's")
    answer = stack.request("update")
    versions = stack.cloud.buckets[BUCKET][f"pipelines/{NAME}.json"]
    assert [version.body for version in versions] == [b"definition", b"a maintainer's", b"newer definition"]
    assert answer["PhysicalResourceId"] == PHYSICAL_ID


def test_an_update_of_something_else_leaves_a_maintainers_definition_alone(stack: Stack) -> None:
    """The sources are those of the last deployment; only whether data is retained has changed."""
    stack.request("create")
    stack.cloud.put(BUCKET, f"pipelines/{NAME}.json", b"a maintainer's")
    body = event("custom_resource_update") | {"ResponseURL": stack.url}
    body["ResourceProperties"] = body["OldResourceProperties"] | {"Retain": "true"}
    assert stack.send(body)["Status"] == "SUCCESS"
    assert stack.cloud.text(BUCKET, f"pipelines/{NAME}.json") == b"a maintainer's"


def test_an_update_into_another_bucket_copies_everything(stack: Stack) -> None:
    body = event("custom_resource_update") | {"ResponseURL": stack.url}
    body["OldResourceProperties"]["Bucket"] = "former-bucket"
    assert stack.send(body)["Status"] == "SUCCESS"
    assert stack.cloud.text(BUCKET, "code/aaa/source.tar.gz") == b"code"


def test_versions_that_take_their_time_to_go_are_waited_for(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation deletes the group next, and fails if a version is still in it."""
    stack.request("create")
    stack.live()
    deleted: list[str] = []
    listed = stack.cloud.list_model_packages

    def delete(ModelPackageName: str) -> dict[str, Any]:
        assert stack.cloud.packages[ModelPackageName]["status"] != "Deleting", "it is on its way already"
        stack.cloud.packages[ModelPackageName]["status"] = "Deleting"
        deleted.append(ModelPackageName)
        return {}

    def list_(ModelPackageGroupName: str, **more: Any) -> dict[str, Any]:
        answer = listed(ModelPackageGroupName, **more)
        if "NextToken" not in more and len(deleted) and len(asked) > 2:
            for arn in deleted:
                stack.cloud.packages.pop(arn, None)
        asked.append(ModelPackageGroupName)
        return answer

    asked: list[str] = []
    monkeypatch.setattr(stack.cloud, "delete_model_package", delete)
    monkeypatch.setattr(stack.cloud, "list_model_packages", list_)
    assert stack.request("delete")["Status"] == "SUCCESS"
    assert deleted
    assert NAME not in {package["group"] for package in stack.cloud.packages.values()}


def test_a_destroyed_stack_leaves_nothing_of_its_own(stack: Stack) -> None:
    stack.request("create")
    stack.live()
    answer = stack.request("delete")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", PHYSICAL_ID)
    assert not any(stack.cloud.buckets[BUCKET].values())
    assert (stack.cloud.pipelines, stack.cloud.endpoints) == ({}, {})
    assert {package["group"] for package in stack.cloud.packages.values()} == {"another"}
    assert list(stack.cloud.models) == list(stack.cloud.configurations) == OTHERS
    assert stack.cloud.keys("assets")


def test_executions_are_stopped_before_the_pipeline_is_deleted(stack: Stack) -> None:
    stack.live()
    stack.request("delete")
    names = stack.cloud.names()
    assert names.count("StopPipelineExecution") == 2
    assert names.index("StopPipelineExecution") < names.index("DeletePipeline") < names.index("DeleteObjects")
    assert {execution.status for execution in stack.cloud.executions.values()} == {"Succeeded", "Failed", "Stopped"}


def test_runs_and_endpoint_end_beside_each_other(stack: Stack) -> None:
    """One after the other they may take longer than the function's 15 minutes."""
    stack.live()
    stack.request("delete")
    names = stack.cloud.names()
    assert max(names.index("StopPipelineExecution"), names.index("DeleteEndpoint")) < names.index("DeletePipeline")


def test_what_is_left_is_named_and_another_destruction_goes_on(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.live()

    def pass_time(seconds: float) -> None:
        stack.seconds_left -= seconds

    with monkeypatch.context() as patch:
        patch.setattr(handler.time, "sleep", pass_time)
        answer = stack.request("delete")
    assert answer["Status"] == "FAILED"
    left = [execution.arn[-12:] for execution in stack.cloud.executions.values() if execution.status == "Stopping"]
    assert f"3 executions of the pipeline {NAME} have not stopped: {', '.join(left)}" in answer["Reason"]
    assert "hint: delete the stack again: it goes on from there" in answer["Reason"]
    stack.seconds_left = 900.0
    assert stack.request("delete")["Status"] == "SUCCESS"
    assert (stack.cloud.pipelines, stack.cloud.endpoints) == ({}, {})


def test_a_pipeline_that_a_call_in_flight_makes_anew_goes_with_its_execution(stack: Stack) -> None:
    """An upload's look began before the destruction, and starts its run after the pipeline was deleted."""
    stack.live()
    arn = f"arn:aws:sagemaker:eu-central-1:111122223333:pipeline/{NAME}/execution/late00000000"

    def start_late(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("after", "DeletePipeline"):
            stack.cloud.interrupt = None
            stack.cloud.pipelines[NAME] = {"PipelineDefinition": "{}", "RoleArn": "arn:aws:iam::111122223333:role/x"}
            stack.cloud.executions[arn] = Execution(arn, NAME, "t", "d", {}, "{}")

    stack.cloud.interrupt = start_late
    assert stack.request("delete")["Status"] == "SUCCESS"
    assert (stack.cloud.pipelines, stack.cloud.executions[arn].status) == ({}, "Stopped")
    deletions = [parameters for name, parameters in stack.cloud.calls if name == "DeletePipeline"]
    assert len({parameters["ClientRequestToken"] for parameters in deletions}) == 2  # or it would be a repetition


def test_a_key_that_xml_cannot_hold_is_deleted_by_itself(stack: Stack) -> None:
    for number in range(5):
        stack.cloud.put(BUCKET, f"datasets/birds/{number}\x01.jpg", b"x")
    stack.live()
    assert stack.request("delete")["Status"] == "SUCCESS"
    assert not any(stack.cloud.buckets[BUCKET].values())


def test_an_execution_that_ends_before_it_is_stopped_is_fine(stack: Stack) -> None:
    stack.live()

    def end(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "StopPipelineExecution"):
            stack.cloud.executions[parameters["PipelineExecutionArn"]].status = "Succeeded"
            raise Refused("ConflictException", "it has ended")

    stack.cloud.interrupt = end
    assert stack.request("delete")["Status"] == "SUCCESS"


def test_destroying_twice_is_fine(stack: Stack) -> None:
    stack.live()
    for _ in range(2):
        assert stack.request("delete")["Status"] == "SUCCESS"


def test_destroying_what_was_never_made_is_fine(stack: Stack) -> None:
    assert stack.request("delete")["Status"] == "SUCCESS"


def test_a_destroyed_network_is_left_by_sagemakers_interfaces_first(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker takes some minutes, and does it under roles that CloudFormation deletes after this."""
    stack.live()
    stack.cloud.interfaces = {"eni-1": "subnet-2", "eni-of-others": "subnet-9"}
    seconds_left = []

    def leave(seconds: float) -> None:
        stack.sleep(seconds)
        seconds_left.append(stack.seconds_left)
        if len(seconds_left) > 40:
            stack.cloud.interfaces.pop("eni-1", None)

    monkeypatch.setattr(handler.time, "sleep", leave)
    assert stack.request("delete", SubnetIds=["subnet-1", "subnet-2"])["Status"] == "SUCCESS"
    assert seconds_left[-1] < 900 - 40 * 5
    assert stack.cloud.interfaces == {"eni-of-others": "subnet-9"}


def test_without_a_network_nobody_asks_ec2(stack: Stack) -> None:
    stack.live()
    assert stack.request("delete", SubnetIds=[])["Status"] == "SUCCESS"
    assert "DescribeNetworkInterfaces" not in [name for name, _ in stack.cloud.calls]


def test_an_interface_that_stays_is_named(stack: Stack) -> None:
    stack.live()
    stack.cloud.interfaces = {"eni-1": "subnet-2"}
    answer = stack.request("delete", SubnetIds=["subnet-2"])
    assert answer["Status"] == "FAILED"
    assert "eni-1" in answer["Reason"]
    assert "delete the stack again" in answer["Reason"]


def test_a_retained_deployment_keeps_data_and_registry_and_nothing_that_needs_its_roles(stack: Stack) -> None:
    stack.live()
    kept = stack.cloud.keys(BUCKET)
    assert stack.request("delete", Retain="true")["Status"] == "SUCCESS"
    assert (stack.cloud.pipelines, stack.cloud.endpoints) == ({}, {})
    assert list(stack.cloud.models) == list(stack.cloud.configurations) == OTHERS
    assert [package["group"] for package in stack.cloud.packages.values()].count(NAME) == 5
    assert stack.cloud.keys(BUCKET) == kept


def test_where_only_another_registry_is_served_no_pipeline_and_no_version_is_deleted(stack: Stack) -> None:
    stack.live()
    assert stack.request("delete", PipelineName="", ModelPackageGroupName="")["Status"] == "SUCCESS"
    assert (stack.cloud.endpoints, stack.cloud.keys(BUCKET)) == ({}, [])
    assert list(stack.cloud.models) == list(stack.cloud.configurations) == OTHERS
    assert list(stack.cloud.pipelines) == [NAME]
    assert [package["group"] for package in stack.cloud.packages.values()].count(NAME) == 5


@pytest.mark.parametrize("request_type", ["create", "update"])
def test_every_deployment_has_the_pipeline_looked_at_where_there_is_one(stack: Stack, request_type: str) -> None:
    stack.request(request_type, UploadsQueueUrl="uploads")
    assert [json.loads(message.body)["headrace"] for message in stack.cloud.queue] == ["publish", "look-again"]


@pytest.mark.parametrize("request_type", ["create", "update"])
def test_every_deployment_has_the_endpoint_looked_at(stack: Stack, request_type: str) -> None:
    stack.request(request_type)
    assert [json.loads(message.body) for message in stack.cloud.queue] == [{"headrace": "look-again", "count": 0}]


def test_a_delete_of_another_physical_id_deletes_nothing(stack: Stack, logged: Any) -> None:
    stack.live()
    answer = stack.send(
        event("custom_resource_delete") | {"ResponseURL": stack.url, "PhysicalResourceId": "2027/01/15/[1]abc"}
    )
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "2027/01/15/[1]abc")
    assert stack.cloud.names() == []
    assert logged()[-1]["level"] == "WARNING"


def test_a_failed_creation_is_answered_with_the_reason(stack: Stack, logged: Any) -> None:
    stack.cloud.buckets["assets"].clear()
    answer = stack.request("create")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", PHYSICAL_ID)
    assert "NoSuchKey" in answer["Reason"]
    assert logged()[-1]["level"] == "ERROR"


def test_a_missing_property_is_answered_with_its_name(stack: Stack) -> None:
    body = event("custom_resource_create") | {"ResponseURL": stack.url}
    del body["ResourceProperties"]["PipelineName"]
    answer = stack.send(body)
    assert answer["Status"] == "FAILED"
    assert "'PipelineName'" in answer["Reason"]


def test_an_unknown_request_type_is_answered(stack: Stack) -> None:
    answer = stack.send(event("custom_resource_create") | {"ResponseURL": stack.url, "RequestType": "Dance"})
    assert (answer["Status"], "'Dance'" in answer["Reason"]) == ("FAILED", True)


def test_a_long_reason_is_cut_to_what_cloudformation_takes(stack: Stack) -> None:
    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        raise Refused("AccessDenied", "x" * 9_000)

    stack.cloud.interrupt = refuse
    assert len(json.dumps(stack.request("create"))) < 4_096


@pytest.mark.parametrize("what", ["executions", "endpoint", "versions", "bucket"])
def test_what_does_not_end_in_time_is_answered_as_failed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    stack.live()
    if what != "executions":
        stack.cloud.executions.clear()
    if what in ("versions", "bucket"):
        stack.cloud.endpoints.clear()
        stack.seconds_left = 20
    if what == "bucket":
        stack.cloud.packages.clear()

    def tire(seconds: float) -> None:
        stack.seconds_left -= seconds

    monkeypatch.setattr(handler.time, "sleep", tire)
    answer = stack.request("delete")
    assert answer["Status"] == "FAILED"
    assert what in answer["Reason"]
    assert "delete the stack again" in answer["Reason"]


def test_an_object_that_cannot_be_deleted_is_named(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.cloud.put(BUCKET, "locked.txt", b"x")
    errors = {"Errors": [{"Key": "locked.txt", "Code": "AccessDenied", "Message": "object lock"}]}
    monkeypatch.setattr(stack.cloud, "delete_objects", lambda **_: errors)
    answer = stack.request("delete")
    assert answer["Status"] == "FAILED"
    assert f"s3://{BUCKET}/locked.txt" in answer["Reason"]


def test_the_answer_is_tried_again_when_the_network_fails(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    open_url, failures = custom_resource.request.urlopen, iter([True, True, False])

    def fail(*arguments: Any, **more: Any) -> Any:
        if next(failures):
            raise OSError("network is unreachable")
        return open_url(*arguments, **more)

    monkeypatch.setattr(custom_resource.request, "urlopen", fail)
    before = len(stack.answers)
    assert stack.request("create")["Status"] == "SUCCESS"
    assert len(stack.answers) == before + 1


def test_the_group_is_empty_when_the_versions_are_said_to_be_deleted(stack: Stack) -> None:
    """DeleteModelPackage answers before a version is gone, and CloudFormation deletes the group next."""
    for version in (1, 2):
        stack.cloud.register(NAME, version, "Approved")
    stack.cloud.delete_model_package(next(iter(stack.cloud.packages)))  # by another call
    waited: list[float] = []
    destroy.delete_model_packages(CLIENTS("sagemaker"), NAME, Deadline(lambda: 900.0, waited.append))
    assert stack.cloud.packages == {}


def test_versions_that_are_never_gone_are_an_error_in_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.cloud.register(NAME, 1, "Approved", status="Deleting")
    monkeypatch.setattr(destroy, "_model_packages", lambda *parts: {"arn": "Deleting"})
    left = iter([900.0, 30.0])
    with pytest.raises(DestroyError, match="1 versions of the model package group"):
        destroy.delete_model_packages(CLIENTS("sagemaker"), NAME, Deadline(lambda: next(left), lambda _: None))
