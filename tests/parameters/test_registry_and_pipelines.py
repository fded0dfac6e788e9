"""Pipelines, executions, the registry, models and endpoints: each parameter's effect, in the test's own process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from eventually import eventually
from in_process import ROLE, SCOPE, TOKEN, InProcess, Refused
from tried import tries

ARN = f"arn:aws:sagemaker:{SCOPE.region}:{SCOPE.account}"
FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
TAGS = [{"Key": "team", "Value": "birds"}]


def definition(*steps: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps or [FAIL]), **more})


def tags_of(service: InProcess, arn: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = service.call("ListTags", ResourceArn=arn)["Tags"]
    return found


@tries(
    "sagemaker.CreatePipeline",
    "PipelineName PipelineDisplayName PipelineDescription PipelineDefinition RoleArn Tags ClientRequestToken "
    "ParallelismConfiguration",
)
@tries(
    "sagemaker.UpdatePipeline",
    "PipelineName PipelineDisplayName PipelineDescription PipelineDefinition RoleArn ParallelismConfiguration",
)
@tries("sagemaker.DescribePipeline", "PipelineName")
@tries("sagemaker.DeletePipeline", "PipelineName")
def test_a_pipelines_parameters(service: InProcess) -> None:
    given = {
        "PipelineName": "one", "PipelineDisplayName": "The-one", "PipelineDescription": "first",
        "PipelineDefinition": definition(), "RoleArn": ROLE,
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 3},
    }  # fmt: skip
    arn = service.call("CreatePipeline", **given, Tags=TAGS, ClientRequestToken=TOKEN)["PipelineArn"]
    assert arn.endswith("pipeline/one")
    assert service.call("CreatePipeline", **given, ClientRequestToken=TOKEN)["PipelineArn"] == arn  # the same request
    with pytest.raises(Refused, match="names must be unique"):
        service.call("CreatePipeline", **given, ClientRequestToken="u" * 32)
    assert service.call("DescribePipeline", PipelineName="one").items() >= given.items()
    assert tags_of(service, arn) == TAGS
    changed = given | {
        "PipelineDisplayName": "Other", "PipelineDescription": "second", "RoleArn": f"{ROLE}-2",
        "PipelineDefinition": definition(FAIL | {"Name": "Other"}),
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 1},
    }  # fmt: skip
    service.call("UpdatePipeline", **changed)
    assert service.call("DescribePipeline", PipelineName="one").items() >= changed.items()
    service.call("DeletePipeline", PipelineName="one", ClientRequestToken=TOKEN)
    with pytest.raises(Refused, match="does not exist"):
        service.call("DescribePipeline", PipelineName="one")


@tries(
    "sagemaker.StartPipelineExecution",
    "PipelineName PipelineExecutionDisplayName PipelineParameters PipelineExecutionDescription ClientRequestToken "
    "ParallelismConfiguration",
)
@tries("sagemaker.DescribePipelineExecution", "PipelineExecutionArn")
@tries("sagemaker.DescribePipelineDefinitionForExecution", "PipelineExecutionArn")
@tries("sagemaker.ListPipelineParametersForExecution", "PipelineExecutionArn MaxResults NextToken")
@tries("sagemaker.ListPipelineExecutionSteps", "PipelineExecutionArn SortOrder MaxResults NextToken")
def test_an_executions_parameters(service: InProcess) -> None:
    declared = [{"Name": name, "Type": "String", "DefaultValue": "x"} for name in ("A", "B", "C")]
    waits = {"Name": "Wait", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}], "IfSteps": [FAIL], "ElseSteps": [],
    }}  # fmt: skip
    service.create("p", waits, Parameters=declared)
    given: dict[str, Any] = {
        "PipelineExecutionDisplayName": "birds-1", "PipelineExecutionDescription": "costs nothing",
        "ParallelismConfiguration": {"MaxParallelExecutionSteps": 1},
    }  # fmt: skip
    values = [{"Name": "B", "Value": "given"}]
    arn = service.start("p", PipelineParameters=values, **given)
    assert service.start("p", PipelineParameters=values, **given) == arn  # by the token
    assert service.start("p", token="u" * 32) != arn
    assert service.call("DescribePipelineExecution", PipelineExecutionArn=arn).items() >= given.items()
    service.end_of(arn)
    text = service.call("DescribePipelineDefinitionForExecution", PipelineExecutionArn=arn)["PipelineDefinition"]
    assert json.loads(text)["Steps"] == [waits]
    pages, token = [], {}
    while True:
        answer = service.call("ListPipelineParametersForExecution", PipelineExecutionArn=arn, MaxResults=2, **token)
        pages.append([(item["Name"], item["Value"]) for item in answer["PipelineParameters"]])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert pages == [[("A", "x"), ("B", "given")], [("C", "x")]]
    names = {
        order: [
            step["StepName"]
            for step in service.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn, SortOrder=order)[
                "PipelineExecutionSteps"
            ]
        ]
        for order in ("Ascending", "Descending")
    }
    assert names == {"Ascending": ["Wait", "Stop"], "Descending": ["Stop", "Wait"]}
    first = service.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn, MaxResults=1)
    rest = service.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn, NextToken=first["NextToken"])
    assert [step["StepName"] for step in (*first["PipelineExecutionSteps"], *rest["PipelineExecutionSteps"])] == [
        "Stop",
        "Wait",
    ]


@tries("sagemaker.CreateModelPackageGroup", "ModelPackageGroupName Tags")
@tries("sagemaker.DescribeModelPackageGroup", "ModelPackageGroupName")
@tries("sagemaker.DeleteModelPackageGroup", "ModelPackageGroupName")
@tries("sagemaker.PutModelPackageGroupPolicy", "ModelPackageGroupName ResourcePolicy")
@tries("sagemaker.GetModelPackageGroupPolicy", "ModelPackageGroupName")
@tries("sagemaker.DeleteModelPackageGroupPolicy", "ModelPackageGroupName")
def test_a_groups_parameters(service: InProcess) -> None:
    mine = {"ModelPackageGroupName": "mine"}
    arn = service.call("CreateModelPackageGroup", **mine, ModelPackageGroupDescription="words", Tags=TAGS)[
        "ModelPackageGroupArn"
    ]
    described = service.call("DescribeModelPackageGroup", **mine)
    assert (described["ModelPackageGroupName"], described["ModelPackageGroupDescription"]) == ("mine", "words")
    assert tags_of(service, arn) == TAGS
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]})
    service.call("PutModelPackageGroupPolicy", **mine, ResourcePolicy=policy)
    assert service.call("GetModelPackageGroupPolicy", **mine) == {"ResourcePolicy": policy}
    service.call("DeleteModelPackageGroupPolicy", **mine)
    with pytest.raises(Refused, match="no resource policy"):
        service.call("GetModelPackageGroupPolicy", **mine)
    service.call("DeleteModelPackageGroup", **mine)
    with pytest.raises(Refused, match="does not exist"):
        service.call("DescribeModelPackageGroup", **mine)


def container(**more: Any) -> dict[str, Any]:
    return {"Image": "pytorch", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {"A": "1"}} | more


DESCRIBED: dict[str, Any] = {
    "ModelPackageDescription": "words",
    "MetadataProperties": {"GeneratedBy": "a run"},
    "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/e.json"}}},
    "CustomerMetadataProperties": {"DataSet": "birds"},
    "DriftCheckBaselines": {"ModelQuality": {"Statistics": {"ContentType": "a/b", "S3Uri": "s3://b/d.json"}}},
    "Domain": "COMPUTER_VISION",
    "Task": "IMAGE_CLASSIFICATION",
    "SamplePayloadUrl": "s3://b/sample.tar.gz",
    "SourceUri": "s3://b/source",
    "ModelLifeCycle": {"Stage": "Development", "StageStatus": "Approved"},
}
SPECIFICATION: dict[str, Any] = {
    "Containers": [container(Framework="PYTORCH", FrameworkVersion="2.6", NearestModelName="resnet18")],
    "SupportedTransformInstanceTypes": ["ml.m5.large"],
    "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
    "SupportedContentTypes": ["image/jpeg"],
    "SupportedResponseMIMETypes": ["application/json"],
}


@tries(
    "sagemaker.CreateModelPackage",
    "ModelPackageGroupName ModelApprovalStatus ClientToken SkipModelValidation CertifyForMarketplace "
    "InferenceSpecification.Containers.Image "
    "InferenceSpecification.Containers.ModelDataUrl InferenceSpecification.Containers.Environment",
)
@tries(
    "sagemaker.UpdateModelPackage",
    "ModelPackageArn ModelApprovalStatus ApprovalDescription CustomerMetadataProperties "
    "CustomerMetadataPropertiesToRemove SourceUri ModelLifeCycle InferenceSpecification.Containers.Image "
    "InferenceSpecification.Containers.ModelDataUrl InferenceSpecification.Containers.Environment",
)
@tries("sagemaker.DescribeModelPackage", "ModelPackageName")
@tries("sagemaker.DeleteModelPackage", "ModelPackageName")
def test_a_versions_parameters(service: InProcess) -> None:
    service.call("CreateModelPackageGroup", ModelPackageGroupName="g")
    given = DESCRIBED | {"InferenceSpecification": SPECIFICATION, "ModelApprovalStatus": "Rejected"}
    named = {"ModelPackageGroupName": "g", "ClientToken": TOKEN, "SkipModelValidation": "None"}
    named |= {"CertifyForMarketplace": False}
    arn = service.call("CreateModelPackage", **named, **given)["ModelPackageArn"]
    assert service.call("CreateModelPackage", **named, **given)["ModelPackageArn"] == arn  # by the token
    assert service.call("DescribeModelPackage", ModelPackageName=arn).items() >= given.items()
    changes = {
        "ModelApprovalStatus": "Approved", "ApprovalDescription": "looked at", "SourceUri": "s3://b/other",
        "ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"},
        "InferenceSpecification": {"Containers": [container(ModelDataUrl="s3://b/copy.tar.gz")]},
    }  # fmt: skip
    properties = {"CustomerMetadataProperties": {"New": "1"}, "CustomerMetadataPropertiesToRemove": ["DataSet"]}
    service.call("UpdateModelPackage", ModelPackageArn=arn, **changes, **properties)
    found = service.call("DescribeModelPackage", ModelPackageName=arn)
    assert found.items() >= (changes | {"CustomerMetadataProperties": {"New": "1"}}).items()
    service.call("DeleteModelPackage", ModelPackageName=arn)
    assert service.call("DescribeModelPackage", ModelPackageName=arn)["ModelPackageStatus"] == "Deleting"
    eventually(
        "every version is deleted",
        lambda: not service.call("ListModelPackages", ModelPackageGroupName="g")["ModelPackageSummaryList"],
        interval=0.01,
    )
    with pytest.raises(Refused, match="does not exist"):
        service.call("DescribeModelPackage", ModelPackageName=arn)


@tries("sagemaker.CreateModel", "ModelName ExecutionRoleArn Tags PrimaryContainer.Image PrimaryContainer.ModelDataUrl")
@tries("sagemaker.CreateModel", "Containers.Image Containers.ModelDataUrl Containers.Environment")
@tries("sagemaker.CreateModel", "Containers.ModelPackageName PrimaryContainer.ModelPackageName")
@tries("sagemaker.CreateModel", "Containers.Mode PrimaryContainer.Mode")
@tries("sagemaker.DescribeModel", "ModelName")
@tries("sagemaker.DeleteModel", "ModelName")
@tries("sagemaker.CreateEndpointConfig", "EndpointConfigName Tags ProductionVariants.VariantName")
@tries("sagemaker.CreateEndpointConfig", "ProductionVariants.ModelName")
@tries("sagemaker.DescribeEndpointConfig", "EndpointConfigName")
@tries("sagemaker.DeleteEndpointConfig", "EndpointConfigName")
def test_a_models_and_a_configurations_parameters(service: InProcess) -> None:
    one = {
        "ModelName": "one",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": container() | {"Mode": "SingleModel"},
        "EnableNetworkIsolation": True,
    }
    arn = service.call("CreateModel", **one, Tags=TAGS)["ModelArn"]
    assert service.call("DescribeModel", ModelName="one").items() >= one.items()
    assert tags_of(service, arn) == TAGS
    service.call("CreateModel", ModelName="two", ExecutionRoleArn=ROLE, Containers=[container()])
    assert service.call("DescribeModel", ModelName="two")["Containers"] == [container()]
    with pytest.raises(Refused, match="exactly one container"):
        service.call("CreateModel", ModelName="three", ExecutionRoleArn=ROLE, Containers=[container(), container()])
    service.call("CreateModelPackageGroup", ModelPackageGroupName="g")
    for containers, problem in (([container()], "its approval status"), ([container()] * 2, "exactly one container")):
        approval = "PendingManualApproval" if len(containers) == 1 else "Approved"
        version = service.call(
            "CreateModelPackage", ModelPackageGroupName="g", ModelApprovalStatus=approval,
            InferenceSpecification={"Containers": containers},
        )["ModelPackageArn"]  # fmt: skip
        for given in (
            {"PrimaryContainer": {"ModelPackageName": version}},
            {"Containers": [{"ModelPackageName": version}]},
        ):
            with pytest.raises(Refused, match=problem):
                service.call("CreateModel", ModelName="four", ExecutionRoleArn=ROLE, **given)
    variant = {"VariantName": "a", "ModelName": "one", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2,
               "InitialVariantWeight": 1.0}  # fmt: skip
    config = {"EndpointConfigName": "c", "ProductionVariants": [variant], "KmsKeyId": "key"}
    arn = service.call("CreateEndpointConfig", **config, Tags=TAGS)["EndpointConfigArn"]
    assert service.call("DescribeEndpointConfig", EndpointConfigName="c").items() >= config.items()
    assert tags_of(service, arn) == TAGS
    with pytest.raises(Refused, match="Could not find model"):
        service.call(
            "CreateEndpointConfig", EndpointConfigName="d", ProductionVariants=[variant | {"ModelName": "none"}]
        )
    service.call("DeleteEndpointConfig", EndpointConfigName="c")
    service.call("DeleteModel", ModelName="one")
    with pytest.raises(Refused, match="Could not find"):
        service.call("DescribeModel", ModelName="one")
    with pytest.raises(Refused, match="Could not find"):
        service.call("DescribeEndpointConfig", EndpointConfigName="c")
