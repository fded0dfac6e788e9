"""Delete the resources that a stack's functions and jobs created, before CloudFormation deletes the stack.

Pipelines, endpoints, models and registered versions are created at run time, so they are not part of the stack. And
CloudFormation cannot delete a model package group with versions in it, or a bucket with objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from custom_resource.deadline import Deadline
from custom_resource.request import Deployment
from shared import log
from shared.aws import NOT_FOUND, S3Client, error_code, says
from shared.errors import DestroyError
from shared.hashing import digest

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

MAX_NAMES = 3  # of remaining resources, in a message
DELETE_BATCH = 1_000  # keys that DeleteObjects takes
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # DeleteObjects' request is XML 1.0


def destroy(
    s3: S3Client, sagemaker: SageMakerClient, deployment: Deployment, deadline: Deadline, *, request_id: str
) -> None:
    """Delete what was created at run time, and the data and the registry as well unless they are to be retained.

    Resources that do not exist are skipped. Pipeline, endpoint and models are deleted in any case: the stack deletes
    their roles. The bucket comes last: jobs write to it until they stop. The pipeline is deleted twice: a call of
    start_pipeline that began before may create it again and start it.

    The function has 15 minutes. So it first stops all executions and deletes the endpoint, and waits for them
    afterwards. If the time is too short, the error names what remains, and the next deletion of the stack continues.

    For a declared model line the definition is deleted. The data stays, because it belongs to the environment.
    """
    if deployment.pipeline_name:
        ask_to_stop(sagemaker, deployment.pipeline_name, token=f"{request_id} first")
    ask_to_delete_endpoint(sagemaker, deployment.endpoint_name)
    if deployment.pipeline_name:
        delete_pipeline(sagemaker, deployment.pipeline_name, deadline, token=f"{request_id} first")
    delete_endpoint(sagemaker, deployment.endpoint_name, deadline)
    if deployment.pipeline_name:
        delete_pipeline(sagemaker, deployment.pipeline_name, deadline, token=f"{request_id} again")
    delete_models(sagemaker, deployment.endpoint_name)
    if deployment.line:
        s3.delete_object(Bucket=deployment.bucket, Key=f"pipelines/{deployment.pipeline_name}.json")
    if deployment.retain:
        log.info("retained", bucket=deployment.bucket, group=deployment.model_package_group)
        return
    if deployment.model_package_group:
        delete_model_packages(sagemaker, deployment.model_package_group, deadline)
    if not deployment.line:
        empty_bucket(s3, deployment.bucket, deadline)


def stop_executions(sagemaker: SageMakerClient, pipeline: str, deadline: Deadline, *, token: str) -> None:
    """Stop all executions and wait until none runs: a pipeline with a running execution cannot be deleted."""
    while running := ask_to_stop(sagemaker, pipeline, token=token):
        names = ", ".join(arn.rpartition("/")[2] for arn in running[:MAX_NAMES])
        more = f" and {len(running) - MAX_NAMES} more" if len(running) > MAX_NAMES else ""
        deadline.wait(f"{len(running)} executions of the pipeline {pipeline} have not stopped: {names}{more}")


def ask_to_stop(sagemaker: SageMakerClient, pipeline: str, *, token: str) -> list[str]:
    """Stop the executions that have not ended, with their jobs. Returns their ARNs."""
    running = list(_running_executions(sagemaker, pipeline))
    for arn, status in running:
        if status == "Executing":
            _stop(sagemaker, arn, token=digest([token, arn]))
    return [arn for arn, _ in running]


def delete_pipeline(sagemaker: SageMakerClient, pipeline: str, deadline: Deadline, *, token: str) -> None:
    """Stop the pipeline's executions and delete it. A second request with the same token counts as a retry."""
    stop_executions(sagemaker, pipeline, deadline, token=token)
    try:
        sagemaker.delete_pipeline(PipelineName=pipeline, ClientRequestToken=digest([token, pipeline]))
    except ClientError as error:
        if error_code(error) != "ResourceNotFound":
            raise
    else:
        log.info("pipeline deleted", pipeline=pipeline)


def delete_endpoint(sagemaker: SageMakerClient, endpoint: str, deadline: Deadline) -> None:
    """Delete the endpoint and wait until it is gone. An endpoint in Creating or Updating has to finish first."""
    while status := ask_to_delete_endpoint(sagemaker, endpoint):
        deadline.wait(f"the endpoint {endpoint} is not deleted: it is {status}")


def ask_to_delete_endpoint(sagemaker: SageMakerClient, endpoint: str) -> str | None:
    """Request the deletion. Returns the status before, None without an endpoint. Repeat it while one is in progress."""
    try:
        status: str = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
    except ClientError as error:
        if says(error, "could not find"):
            return None
        raise
    if status != "Deleting":
        try:
            sagemaker.delete_endpoint(EndpointName=endpoint)
        except ClientError as error:
            if says(error, "could not find"):
                return None
            if not says(error, "in-progress"):
                raise
        else:
            log.info("endpoint is being deleted", endpoint=endpoint)
    return status


def delete_models(sagemaker: SageMakerClient, endpoint: str) -> None:
    """Delete the models and configurations that were created for the endpoint. All are listed before any is deleted.

    Their names are <endpoint>-v<version> followed by 8 digits (deploy_model/model.py). A prefix is not enough: the
    prefix of the endpoint headrace-dev also matches the models of headrace-dev-v2.
    """
    prefix, made = f"{endpoint}-v", re.compile(re.escape(endpoint) + r"-v\d+(-[0-9a-f]{8})?")
    configurations = [
        configuration["EndpointConfigName"]
        for page in sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=prefix)
        for configuration in page["EndpointConfigs"]
    ]
    models = [
        model["ModelName"]
        for page in sagemaker.get_paginator("list_models").paginate(NameContains=prefix)
        for model in page["Models"]
    ]
    for name in configurations:
        if made.fullmatch(name):
            _unless_missing(partial(sagemaker.delete_endpoint_config, EndpointConfigName=name))
            log.info("endpoint configuration deleted", name=name)
    for name in models:
        if made.fullmatch(name):
            _unless_missing(partial(sagemaker.delete_model, ModelName=name))
            log.info("model deleted", name=name)


def delete_model_packages(sagemaker: SageMakerClient, group: str, deadline: Deadline) -> None:
    """Delete every version of the group and wait until none is listed. The stack deletes the group itself.

    DeleteModelPackage answers before the version is gone: its status is Deleting for a while, and the group is not
    empty.
    """
    asked: set[str] = set()
    while there := _model_packages(sagemaker, group):
        new = [arn for arn, status in there.items() if arn not in asked and status != "Deleting"]
        for arn in new:
            try:
                _unless_missing(partial(sagemaker.delete_model_package, ModelPackageName=arn))
            except ClientError as error:
                if error_code(error) != "ConflictException":  # it is being deleted by another call
                    raise
            log.info("model version is being deleted", model_package=arn)
        asked.update(new)
        if not new:
            deadline.wait(f"{len(there)} versions of the model package group {group} are not deleted")


def _model_packages(sagemaker: SageMakerClient, group: str) -> dict[str, str]:
    """The status of each version by ARN; empty if the group does not exist."""
    try:
        return {
            package["ModelPackageArn"]: package["ModelPackageStatus"]
            for page in sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
            for package in page["ModelPackageSummaryList"]
        }
    except ClientError as error:
        if error_code(error) == "ResourceNotFound" or says(error, "does not exist"):
            return {}
        raise


def empty_bucket(s3: S3Client, bucket: str, deadline: Deadline) -> None:
    """Delete every object version and delete marker. The listing starts again until it is empty."""
    deleted = 0
    try:
        while versions := _some_versions(s3, bucket):
            deadline.check(f"the bucket {bucket} is not empty, with {deleted:,} versions deleted")
            _delete_versions(s3, bucket, versions)
            deleted += len(versions)
    except ClientError as error:
        if error_code(error) not in NOT_FOUND:
            raise
    log.info("bucket emptied", bucket=bucket, versions=deleted)


def _some_versions(s3: S3Client, bucket: str) -> list[dict[str, Any]]:
    page = s3.list_object_versions(Bucket=bucket, MaxKeys=DELETE_BATCH)
    found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    return [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in found]


def _delete_versions(s3: S3Client, bucket: str, versions: list[dict[str, Any]]) -> None:
    together = [version for version in versions if not NOT_IN_XML.search(version["Key"])]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": together, "Quiet": True}) if together else {}
    for refused in answer.get("Errors", []):
        raise DestroyError(
            f"s3://{bucket}/{refused.get('Key')} could not be deleted: {refused.get('Code')}, {refused.get('Message')}",
            hint="see the bucket's policy and object locks, then delete the stack again",
        )
    for version in versions:
        if NOT_IN_XML.search(version["Key"]):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def _running_executions(sagemaker: SageMakerClient, pipeline: str) -> Iterator[tuple[str, str]]:
    try:
        for page in sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName=pipeline):
            for execution in page["PipelineExecutionSummaries"]:
                if execution["PipelineExecutionStatus"] in {"Executing", "Stopping"}:
                    yield execution["PipelineExecutionArn"], execution["PipelineExecutionStatus"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFound":
            raise


def _stop(sagemaker: SageMakerClient, execution_arn: str, *, token: str) -> None:
    try:
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=execution_arn, ClientRequestToken=token)
    except ClientError as error:
        if error_code(error) not in {"ConflictException", "ResourceNotFound", "ValidationException"}:
            raise
        log.warning("execution not stopped, it may have ended", execution=execution_arn, error=str(error))
    else:
        log.info("execution is being stopped", execution=execution_arn)


def _unless_missing(delete: Callable[[], object]) -> None:
    try:
        delete()
    except ClientError as error:
        if not says(error, "could not find") and not says(error, "does not exist"):
            raise
