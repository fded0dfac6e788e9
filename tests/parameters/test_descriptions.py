"""What was created with nothing but what it needs can be described and listed, in the shapes of AWS's model."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import ListShape, Shape, StructureShape
from in_process import ROLE, SCOPE, InProcess, Refused
from pipeline_runs import BUCKET, IMAGE

from local_cloud.sagemaker import parameters
from local_cloud.sagemaker.core import shapes

ARN = f"arn:aws:sagemaker:{SCOPE.region}:{SCOPE.account}"
Connect = Callable[[str], Any]
OPERATIONS = sorted(parameters.EFFECTIVE)  # all that are served: test_refusals.py
FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {}}
LAUNCH = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"},
                         "Action": "sts:AssumeRole"}]}  # fmt: skip
TEMPLATE = {"TemplateName": "t", "TemplateURL": f"https://{BUCKET}.s3.us-east-1.amazonaws.com/no.yaml",
            "RoleARN": "arn:aws:iam::000000000000:role/minimal-launch"}  # fmt: skip

# In the order in which one needs another.
REQUESTS: dict[str, dict[str, Any]] = {
    "CreatePipeline": {"PipelineName": "minimal-p", "RoleArn": ROLE, "ClientRequestToken": "minimal-" * 4,
                       "PipelineDefinition": json.dumps({"Steps": [FAIL]})},
    "StartPipelineExecution": {"PipelineName": "minimal-p", "ClientRequestToken": "minimal-" * 4},
    "CreateModelPackageGroup": {"ModelPackageGroupName": "minimal-g"},
    "CreateModelPackage": {"ModelPackageGroupName": "minimal-g"},
    "CreateModel": {"ModelName": "minimal-m", "ExecutionRoleArn": ROLE,
                    "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://engine-tests/m.tar.gz"}},
    "CreateEndpointConfig": {"EndpointConfigName": "minimal-c",
                             "ProductionVariants": [{"VariantName": "v", "ModelName": "minimal-m"}]},
    "CreateEndpoint": {"EndpointName": "minimal-e", "EndpointConfigName": "minimal-c"},
    "CreateTrainingJob": {"TrainingJobName": "minimal-j", "RoleArn": ROLE, "OutputDataConfig": {"S3OutputPath": "s3://engine-tests/o"},
                          "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File",
                                                     "ContainerEntrypoint": ["true"]},
                          "ResourceConfig": {"InstanceType": "ml.m5.large"}},
    "CreateProcessingJob": {"ProcessingJobName": "minimal-j", "RoleArn": ROLE,
                            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
                            "ProcessingResources": {"ClusterConfig": {
                                "InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}},
    "CreateProject": {"ProjectName": "minimal", "TemplateProviders": [{"CfnTemplateProvider": TEMPLATE}]},
}  # fmt: skip
# Members that AWS does not require and the local cloud does, by its own refusal; and one of two ways to say something.
NEEDED_HERE = {
    "AlgorithmSpecification", "AlgorithmSpecification.TrainingImage", "AlgorithmSpecification.ContainerEntrypoint",
    "ResourceConfig", "ResourceConfig.InstanceType", "AppSpecification.ContainerEntrypoint", "PrimaryContainer",
    "PrimaryContainer.Image", "PrimaryContainer.ModelDataUrl", "ExecutionRoleArn", "ProductionVariants.ModelName",
    "ProcessingResources.ClusterConfig.InstanceCount", "ProcessingResources.ClusterConfig.InstanceType",
    "TemplateProviders", "TemplateProviders.CfnTemplateProvider",
    "TemplateProviders.CfnTemplateProvider.RoleARN", "ModelPackageGroupName", "PipelineDefinition",
}  # fmt: skip
WITHOUT_ENTRIES = ("ListPipelineExecutionSteps", "ListPipelineParametersForExecution", "ListTags", "ListModelPackages")


def optional(value: Any, shape: Shape, path: str = "") -> set[str]:
    """The members of a request that its shape does not require."""
    if isinstance(shape, ListShape):
        return {name for item in value for name in optional(item, shape.member, path)}
    if not isinstance(shape, StructureShape):
        return set()
    places = {name: f"{path}.{name}".removeprefix(".") for name in value}
    inner = {found for name in value for found in optional(value[name], shape.members[name], places[name])}
    return inner | {place for name, place in places.items() if name not in shape.required_members}


@pytest.fixture(scope="module")
def answers(connect: Connect, bucket: str, role: str) -> dict[str, dict[str, Any]]:
    """Creates all there is, then asks each operation that describes or lists something.

    The local cloud fails to answer what does not fit botocore's output shape, its required members included.
    """
    sagemaker, given = connect("sagemaker"), {"RoleArn": role}

    assert role == ROLE
    connect("iam").create_role(RoleName="minimal-launch", AssumeRolePolicyDocument=json.dumps(LAUNCH))

    def call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return dict(getattr(sagemaker, xform_name(operation))(**request))

    for operation, request in REQUESTS.items():
        given |= request | call(operation, request)
    given |= {"ResourceArn": given["PipelineArn"], "ModelPackageName": given["ModelPackageArn"]}
    found = {}
    for operation in OPERATIONS:
        if operation.startswith(("Describe", "List")):
            needed = set(shapes.request_shape(operation).required_members) | {"PipelineExecutionArn"}
            known = shapes.request_shape(operation).members.keys() & needed
            found[operation] = call(operation, {name: given[name] for name in known})
    return found


def test_every_created_thing_can_be_described_and_listed(answers: dict[str, dict[str, Any]]) -> None:
    assert answers.keys() == {name for name in OPERATIONS if name.startswith(("Describe", "List"))}
    for operation, answer in answers.items():
        if operation.startswith("List") and operation not in WITHOUT_ENTRIES:
            (items,) = [value for value in answer.values() if isinstance(value, list)]
            assert items, operation


def test_every_thing_that_can_be_created_is_created_here() -> None:
    assert {name for name in OPERATIONS if name.startswith(("Create", "Start"))} == set(REQUESTS)


@pytest.mark.parametrize("operation", REQUESTS)
def test_the_requests_hold_nothing_else(operation: str) -> None:
    shape = shapes.request_shape(operation)
    assert optional(REQUESTS[operation], shape) <= NEEDED_HERE
    assert not list(shapes.problems(REQUESTS[operation], shape))


def test_what_a_job_was_created_without_has_awss_default(answers: dict[str, dict[str, Any]]) -> None:
    day = {"MaxRuntimeInSeconds": 86400}
    assert answers["DescribeTrainingJob"]["StoppingCondition"] == day
    assert answers["DescribeTrainingJob"]["EnableManagedSpotTraining"] is False
    assert answers["DescribeProcessingJob"]["StoppingCondition"] == day
    assert answers["DescribeModel"]["EnableNetworkIsolation"] is False


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_of_nothing_but_what_aws_requires_is_answered_or_refused(service: InProcess, operation: str) -> None:
    """Whatever the handler reads beyond that, it must not take for given."""
    shape = shapes.request_shape(operation)
    values = {name: value for request in reversed(REQUESTS.values()) for name, value in request.items()} | {
        "ResourceArn": f"{ARN}:pipeline/none", "Tags": [], "TagKeys": ["a"], "ResourcePolicy": "{}",
        "ModelPackageArn": f"{ARN}:model-package/none/1", "ModelPackageName": "none",
        "PipelineExecutionArn": f"{ARN}:pipeline/none/execution/abcdefghijkl",
        "ProcessingResources": {"ClusterConfig": {"VolumeSizeInGB": 1}}, "AppSpecification": {"ImageUri": IMAGE},
        "ProductionVariants": [{"VariantName": "v"}],
    }  # fmt: skip
    with suppress(Refused):
        service.call(operation, **{name: values[name] for name in shape.required_members})
