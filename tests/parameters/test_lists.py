"""Every List call: its filters, its order and its pages, tried on four records that differ in all that is listed."""

from __future__ import annotations

from typing import Any

import pytest
from in_process import SCOPE, InProcess, Refused
from tried import tries

ARN = f"arn:aws:sagemaker:{SCOPE.region}:{SCOPE.account}"
NAMES = ("beta-one", "alpha-two", "delta-one", "gamma-two")  # by time of creation
PIPELINE = f"{ARN}:pipeline/p"
TIME = 1_700_000_000.0


class Listed:
    """One kind of record: how it is stored, and how the call names things."""

    def __init__(
        self, kind: str, noun: str, *, given: dict[str, Any] | None = None, status: tuple[str, ...] = (), key: str = ""
    ) -> None:
        self.kind, self.noun, self.given, self.status, self.key = kind, noun, given or {}, status, key


LISTS = {
    "ListTrainingJobs": Listed("training-job", "TrainingJob", status=("Completed", "Failed", "Stopped", "InProgress")),
    "ListProcessingJobs": Listed(
        "processing-job", "ProcessingJob", status=("Completed", "Failed", "Stopped", "InProgress")
    ),
    "ListModels": Listed("model", "Model"),
    "ListEndpointConfigs": Listed("endpoint-config", "EndpointConfig"),
    "ListEndpoints": Listed("endpoint", "Endpoint", status=("InService", "Failed", "Creating", "Updating")),
    "ListPipelines": Listed("pipeline", "Pipeline"),
    "ListPipelineExecutions": Listed("execution", "PipelineExecution", given={"PipelineName": "p"}),
    "ListModelPackageGroups": Listed("group", "ModelPackageGroup"),
    "ListModelPackages": Listed("package", "ModelPackage", given={"ModelPackageGroupName": "g"}),
    "ListProjects": Listed("project", "Project"),
}


def put(service: InProcess, operation: str) -> None:
    listed, store = LISTS[operation], service.service.context.store
    if operation == "ListPipelineExecutions":
        store.put(SCOPE, "pipeline", "p", {"PipelineName": "p", "PipelineArn": PIPELINE})
    if operation == "ListModelPackages":
        store.put(SCOPE, "group", "g", {"ModelPackageGroupName": "g"})
    for number, name in enumerate(NAMES):
        moment = TIME + number
        arn, key = f"{ARN}:{listed.kind}/{name}", name
        document: dict[str, Any] = {
            f"{listed.noun}Name": name,
            f"{listed.noun}Arn": arn,
            "CreationTime": moment,
            "LastModifiedTime": moment + 100,
        }
        if listed.status:
            status = listed.status[number]
            document |= {f"{listed.noun}Status": status, "SecondaryStatus": "Completed"}
        match operation:
            case "ListPipelineExecutions":
                arn = key = f"{PIPELINE}/execution/{name}"
                document |= {"PipelineExecutionArn": arn, "PipelineExecutionStatus": "Executing"}
            case "ListModelPackages":
                key = f"g/{number + 1}"
                document |= {
                    "ModelPackageGroupName": "g", "ModelPackageVersion": number + 1, "ModelPackageStatus": "Completed",
                    "ModelPackageArn": f"{ARN}:model-package/g/{number + 1}",
                    "ModelApprovalStatus": ("Approved", "Rejected", "PendingManualApproval", "Approved")[number],
                }  # fmt: skip
            case "ListModelPackageGroups":
                document |= {"ModelPackageGroupStatus": "Completed"}
            case "ListProjects":
                document |= {"ProjectId": f"p-{number}", "ProjectStatus": "CreateCompleted"}
            case "ListPipelines":
                document |= {"RoleArn": "arn:aws:iam::000000000000:role/everything"}
        store.put(SCOPE, listed.kind, key, document)


def numbers(service: InProcess, operation: str, **request: Any) -> list[int]:
    """Which of the records are answered, in the order of the answer."""
    answer = service.call(operation, **LISTS[operation].given, **request)
    (items,) = [value for name, value in answer.items() if name != "NextToken"]
    return [round(item.get("CreationTime", item.get("StartTime", 0)) - TIME) for item in items]


every_list = pytest.mark.parametrize("operation", LISTS)


@tries("sagemaker.ListTrainingJobs", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListProcessingJobs", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListModels", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListEndpointConfigs", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListEndpoints", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListPipelines", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListPipelineExecutions", "PipelineName SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListModelPackageGroups", "SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListModelPackages", "ModelPackageGroupName SortBy SortOrder MaxResults NextToken")
@tries("sagemaker.ListProjects", "SortBy SortOrder MaxResults NextToken")
@every_list
def test_order_and_pages(service: InProcess, operation: str) -> None:
    put(service, operation)
    ascending = numbers(service, operation, SortBy="CreationTime", SortOrder="Ascending")
    assert ascending == [0, 1, 2, 3]
    assert numbers(service, operation, SortBy="CreationTime", SortOrder="Descending") == [3, 2, 1, 0]
    names = "PipelineExecutionArn" if operation == "ListPipelineExecutions" else "Name"
    by_name = [0, 1, 2, 3] if operation == "ListModelPackages" else [1, 0, 2, 3]  # versions go by their number
    assert numbers(service, operation, SortBy=names, SortOrder="Ascending") == by_name
    if LISTS[operation].status:
        by_status = sorted(range(4), key=lambda number: LISTS[operation].status[number])
        assert numbers(service, operation, SortBy="Status", SortOrder="Ascending") == by_status
    given = LISTS[operation].given | {"SortOrder": "Ascending", "SortBy": "CreationTime"}
    pages, token = [], {}
    while True:
        answer = service.call(operation, **given, **token, MaxResults=3)
        (items,) = [value for name, value in answer.items() if name != "NextToken"]
        pages.append(len(items))
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert pages == [3, 1]
    with pytest.raises(Refused, match="pagination token"):
        service.call(operation, **given, NextToken="yesterday")


@tries(
    "sagemaker.ListTrainingJobs", "CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore"
)
@tries(
    "sagemaker.ListProcessingJobs", "CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore"
)
@tries("sagemaker.ListModels", "CreationTimeAfter CreationTimeBefore")
@tries("sagemaker.ListEndpointConfigs", "CreationTimeAfter CreationTimeBefore")
@tries("sagemaker.ListEndpoints", "CreationTimeAfter CreationTimeBefore LastModifiedTimeAfter LastModifiedTimeBefore")
@tries("sagemaker.ListPipelines", "CreatedAfter CreatedBefore")
@tries("sagemaker.ListPipelineExecutions", "CreatedAfter CreatedBefore")
@tries("sagemaker.ListModelPackageGroups", "CreationTimeAfter CreationTimeBefore")
@tries("sagemaker.ListModelPackages", "CreationTimeAfter CreationTimeBefore")
@tries("sagemaker.ListProjects", "CreationTimeAfter CreationTimeBefore")
@every_list
def test_times(service: InProcess, operation: str) -> None:
    put(service, operation)
    name = "Created" if operation.startswith("ListPipeline") else "CreationTime"
    after, before = {f"{name}After": TIME + 0.5}, {f"{name}Before": TIME + 2.5}
    assert sorted(numbers(service, operation, **after)) == [1, 2, 3]
    assert sorted(numbers(service, operation, **before)) == [0, 1, 2]
    assert sorted(numbers(service, operation, **after, **before)) == [1, 2]
    if operation in ("ListTrainingJobs", "ListProcessingJobs", "ListEndpoints"):
        assert sorted(numbers(service, operation, LastModifiedTimeAfter=TIME + 101.5)) == [2, 3]
        assert sorted(numbers(service, operation, LastModifiedTimeBefore=TIME + 101.5)) == [0, 1]


@tries("sagemaker.ListTrainingJobs", "NameContains StatusEquals")
@tries("sagemaker.ListProcessingJobs", "NameContains StatusEquals")
@tries("sagemaker.ListModels", "NameContains")
@tries("sagemaker.ListEndpointConfigs", "NameContains")
@tries("sagemaker.ListEndpoints", "NameContains StatusEquals")
@tries("sagemaker.ListModelPackageGroups", "NameContains CrossAccountFilterOption")
@tries("sagemaker.ListProjects", "NameContains")
@pytest.mark.parametrize(
    "operation",
    [name for name in LISTS if name not in ("ListPipelines", "ListPipelineExecutions", "ListModelPackages")],
)
def test_names_and_statuses(service: InProcess, operation: str) -> None:
    put(service, operation)
    assert sorted(numbers(service, operation, NameContains="one")) == [0, 2]
    assert numbers(service, operation, NameContains="none") == []
    for number, status in enumerate(LISTS[operation].status):
        assert numbers(service, operation, StatusEquals=status) == [number]
    if operation == "ListModelPackageGroups":
        assert len(numbers(service, operation, CrossAccountFilterOption="SameAccount")) == 4
        with pytest.raises(Refused, match=r"CrossAccountFilterOption only as SameAccount.*hint: "):
            numbers(service, operation, CrossAccountFilterOption="CrossAccount")


@tries("sagemaker.ListPipelines", "PipelineNamePrefix")
@tries("sagemaker.ListModelPackages", "ModelApprovalStatus ModelPackageType NameContains")
def test_what_only_one_of_them_has(service: InProcess) -> None:
    put(service, "ListPipelines")
    assert numbers(service, "ListPipelines", PipelineNamePrefix="alpha") == [1]
    put(service, "ListModelPackages")
    versions = "ListModelPackages"
    assert sorted(numbers(service, versions, ModelApprovalStatus="Approved")) == [0, 3]
    assert len(numbers(service, versions, NameContains="g")) == 4
    assert numbers(service, versions, NameContains="other") == []
    assert len(numbers(service, versions, ModelPackageType="Versioned")) == 4
    assert numbers(service, versions, ModelPackageType="Unversioned") == []
    assert service.call(versions)["ModelPackageSummaryList"] == []  # without a group: only unversioned packages
    assert len(service.call(versions, ModelPackageType="Both")["ModelPackageSummaryList"]) == 4


@tries("sagemaker.ListTags", "ResourceArn MaxResults NextToken")
@tries("sagemaker.AddTags", "ResourceArn Tags")
@tries("sagemaker.DeleteTags", "ResourceArn TagKeys")
def test_tags(service: InProcess) -> None:
    mine, other = f"{ARN}:model/mine", f"{ARN}:model/other"
    service.call("AddTags", ResourceArn=mine, Tags=[{"Key": key, "Value": key * 2} for key in "abc"])
    service.call("AddTags", ResourceArn=other, Tags=[{"Key": "z", "Value": "z"}])
    pages, token = [], {}
    while True:
        answer = service.call("ListTags", ResourceArn=mine, MaxResults=50, **token)
        pages += [(tag["Key"], tag["Value"]) for tag in answer["Tags"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert pages == [("a", "aa"), ("b", "bb"), ("c", "cc")]
    service.call("DeleteTags", ResourceArn=mine, TagKeys=["a", "z"])
    assert [tag["Key"] for tag in service.call("ListTags", ResourceArn=mine)["Tags"]] == ["b", "c"]
    assert len(service.call("ListTags", ResourceArn=other)["Tags"]) == 1
    with pytest.raises(Refused, match="pagination token"):
        service.call("ListTags", ResourceArn=mine, NextToken="x")
