"""Lists, filters, pages and error codes are AWS's; the registry keeps its versions apart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from in_process import ROLE, InProcess, Refused

from local_cloud.sagemaker.core import shapes


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path)
    yield sagemaker
    sagemaker.service.stop()


def group(sagemaker: InProcess, *names: str) -> None:
    for name in names:
        sagemaker.call("CreateModelPackageGroup", ModelPackageGroupName=name)


def register(sagemaker: InProcess, **more: Any) -> str:
    return str(sagemaker.call("CreateModelPackage", ModelPackageGroupName="g", **more)["ModelPackageArn"])


def listed(sagemaker: InProcess, **request: Any) -> list[str]:
    answer = sagemaker.call("ListModelPackageGroups", **request)
    return [item["ModelPackageGroupName"] for item in answer["ModelPackageGroupSummaryList"]]


def test_lists_are_sorted_filtered_and_paged(sagemaker: InProcess) -> None:
    group(sagemaker, "b", "c", "a")
    assert listed(sagemaker) == ["b", "c", "a"]
    assert listed(sagemaker, SortOrder="Descending") == ["a", "c", "b"]
    assert listed(sagemaker, SortBy="Name") == ["a", "b", "c"]
    first = sagemaker.call("ListModelPackageGroups", MaxResults=2)
    assert listed(sagemaker, MaxResults=2, NextToken=first["NextToken"]) == ["a"]


@pytest.mark.parametrize("late", [4102444800, 4102444800.5, "2100-01-01T00:00:00Z"])
def test_times_are_numbers_or_text(sagemaker: InProcess, late: Any) -> None:
    group(sagemaker, "a")
    assert listed(sagemaker, CreationTimeAfter=late) == []
    assert listed(sagemaker, CreationTimeBefore=late) == ["a"]


@pytest.mark.parametrize("request_", [
    {"CreationTimeAfter": "yesterday"}, {"NextToken": "garbage"}, {"NextToken": "WzFd"}, {"NextToken": "MQ=="},
    {"MaxResults": 101},
])  # fmt: skip
def test_a_bad_list_request_is_refused(sagemaker: InProcess, request_: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="ValidationException"):
        listed(sagemaker, **request_)


def names_of(answer: dict[str, Any]) -> list[str]:
    return [item["PipelineName"] for item in answer["PipelineSummaries"]]


@pytest.mark.parametrize("deleted", ["b", "c"])
def test_what_changes_between_two_pages_moves_nothing(sagemaker: InProcess, deleted: str) -> None:
    step = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "end"}}
    for name in ("a", "b", "c"):
        sagemaker.create(name, step)
    first = sagemaker.call("ListPipelines", MaxResults=2)
    assert names_of(first) == ["c", "b"]
    sagemaker.create("d", step)
    sagemaker.call("DeletePipeline", PipelineName=deleted, ClientRequestToken="d" * 32)
    second = sagemaker.call("ListPipelines", MaxResults=2, NextToken=first["NextToken"])
    assert (names_of(second), "NextToken" in second) == (["a"], False)


def test_a_token_belongs_to_the_order_that_it_was_given_for(sagemaker: InProcess) -> None:
    group(sagemaker, "a", "b")
    token = sagemaker.call("ListModelPackageGroups", MaxResults=1)["NextToken"]
    with pytest.raises(Refused, match="ValidationException: The pagination token is invalid"):
        listed(sagemaker, SortBy="Name", NextToken=token)


def delete(sagemaker: InProcess, arn: str) -> None:
    sagemaker.call("DeleteModelPackage", ModelPackageName=arn)
    eventually(
        "the version is deleted",
        lambda: arn not in [package["ModelPackageArn"] for package in versions(sagemaker)],
        interval=0.01,
    )


def versions(sagemaker: InProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sagemaker.call("ListModelPackages", ModelPackageGroupName="g")[
        "ModelPackageSummaryList"
    ]
    return found


def test_a_version_that_is_deleted_is_listed_as_deleting_for_a_while(sagemaker: InProcess) -> None:
    group(sagemaker, "g")
    arn = register(sagemaker)
    sagemaker.call("DeleteModelPackage", ModelPackageName=arn)
    assert [package["ModelPackageStatus"] for package in versions(sagemaker)] == ["Deleting"]
    for refused in (
        lambda: sagemaker.call("DeleteModelPackage", ModelPackageName=arn),
        lambda: sagemaker.call("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved"),
        lambda: sagemaker.call("DeleteModelPackageGroup", ModelPackageGroupName="g"),
    ):
        with pytest.raises(Refused, match="ConflictException"):
            refused()
    eventually("every version is deleted", lambda: not versions(sagemaker), interval=0.01)
    sagemaker.call("DeleteModelPackageGroup", ModelPackageGroupName="g")


def test_version_numbers_are_not_used_again(sagemaker: InProcess) -> None:
    group(sagemaker, "g")
    first = register(sagemaker, ClientToken="t" * 36)
    assert register(sagemaker, ClientToken="t" * 36) == first
    with pytest.raises(Refused, match="ConflictException"):
        sagemaker.call("DeleteModelPackageGroup", ModelPackageGroupName="g")
    delete(sagemaker, first)
    assert register(sagemaker, ClientToken="t" * 36).endswith("/2")


def test_an_approval_event_lists_only_what_changed(sagemaker: InProcess) -> None:
    group(sagemaker, "g")
    arn = register(sagemaker, CustomerMetadataProperties={"a": "1"})
    properties = {"CustomerMetadataProperties": {"a": "1"}}
    sagemaker.call("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved", **properties)
    sagemaker.call("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved", SourceUri="s3://b/k")
    updated = [detail["UpdatedModelPackageFields"] for _, detail in sagemaker.cloud.events]
    assert updated == [[], ["ModelApprovalStatus"], ["sourceUri"]]


def test_a_model_needs_an_approved_package(sagemaker: InProcess) -> None:
    group(sagemaker, "g")
    container = {"ModelPackageName": register(sagemaker)}
    with pytest.raises(Refused, match="PendingManualApproval, not Approved"):
        sagemaker.call("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)


def test_the_name_of_a_pipeline_is_taken_for_another_request_only(sagemaker: InProcess) -> None:
    step = {"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "end"}}
    for _ in range(2):
        sagemaker.create("p", step)
    text = sagemaker.call("DescribePipeline", PipelineName="p")["PipelineDefinition"]
    again = {"PipelineName": "p", "PipelineDefinition": text, "RoleArn": ROLE, "ClientRequestToken": "u" * 32}
    with pytest.raises(Refused, match=r"ValidationException: Pipeline names must be unique .* \(p\) already exists"):
        sagemaker.call("CreatePipeline", **again)


@pytest.mark.parametrize(("operation", "request_"), [
    ("DescribePipeline", {"PipelineName": "p"}),
    ("StartPipelineExecution", {"PipelineName": "p", "ClientRequestToken": "t" * 32}),
    ("DescribeModel", {"ModelName": "m"}),
    ("DescribeEndpoint", {"EndpointName": "e"}),
    ("DeleteEndpointConfig", {"EndpointConfigName": "c"}),
    ("DescribeModelPackageGroup", {"ModelPackageGroupName": "g"}),
    ("DescribeProcessingJob", {"ProcessingJobName": "j"}),
    ("DescribeTrainingJob", {"TrainingJobName": "j"}),
])  # fmt: skip
def test_what_is_missing_has_the_declared_code(sagemaker: InProcess, operation: str, request_: dict[str, Any]) -> None:
    declared = {shape.name for shape in shapes.service_model().operation_model(operation).error_shapes}
    with pytest.raises(Refused) as refused:
        sagemaker.call(operation, **request_)
    assert str(refused.value).split(":")[0] in (declared or {"ValidationException"})


def test_keys_of_maps_are_checked(sagemaker: InProcess) -> None:
    group(sagemaker, "g")
    with pytest.raises(Refused, match="CustomerMetadataProperties"):
        register(sagemaker, CustomerMetadataProperties={"k" * 129: "v"})


def test_an_operation_that_is_not_served_is_refused_in_few_words(sagemaker: InProcess) -> None:
    with pytest.raises(Refused, match=r"UnknownOperationException: CreateTransformJob is not served .* hint: docs"):
        sagemaker.call("CreateTransformJob")
    with pytest.raises(Refused, match="CreatePipelin is not an operation of SageMaker; did you mean 'CreatePipeline'"):
        sagemaker.call("CreatePipelin")
