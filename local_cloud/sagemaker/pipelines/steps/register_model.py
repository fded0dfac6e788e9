"""RegisterModel step: a new version in a model package group.

As on AWS it calls CreateModelPackageGroup first and goes on when the group exists already.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core.aws_errors import error_details
from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.job import plain
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed
from pipeline_language.definition import Step


def _run(attempt: Attempt) -> Outcome:
    client = attempt.client("sagemaker")
    arguments = dict(attempt.arguments)
    group = arguments.get("ModelPackageGroupName")
    execution = attempt.execution["PipelineExecutionArn"]
    # The token makes a registration that was cut off by a restart the same registration.
    token = hashlib.sha256(f"{execution}/{attempt.step.name}/{attempt.number}".encode()).hexdigest()[:36]
    try:
        if group is not None:
            _ensure_group(client, group)
        arguments.setdefault("MetadataProperties", {"GeneratedBy": execution})
        arn = client.create_model_package(**arguments, ClientToken=token)["ModelPackageArn"]
        description = client.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        action = error.operation_name
        return failed(f"ClientError: Failed to invoke sagemaker:{action}. Error Details: {error_details(error)}")
    return Outcome(StepStatus.SUCCEEDED, properties=plain(description), metadata={"RegisterModel": {"Arn": arn}})


def _ensure_group(client: Any, group: str) -> None:
    try:
        client.create_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if "already exists" not in str(error):
            raise


def _problems(step: Step) -> Iterator[str]:
    if {"ModelPackageName", "ModelPackageGroupName"} <= step.arguments.keys():
        yield "Arguments has both ModelPackageName and ModelPackageGroupName; a version of a group has no name."
    elif not {"ModelPackageName", "ModelPackageGroupName"} & step.arguments.keys():
        yield "Arguments has no ModelPackageGroupName."


TYPE = StepType(run=_run, request="CreateModelPackage", check=_problems, describe="DescribeModelPackage")
