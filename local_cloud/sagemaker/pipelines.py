"""Pipelines: create, update, describe, delete and list.

A definition is checked when it arrives, so a bad one is refused at the first moment it can be known and the pipeline
that was there stays in place.
"""

import time
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker import arns, tags
from local_cloud.sagemaker.cloud import Call
from local_cloud.sagemaker.engine.check import check
from local_cloud.sagemaker.engine.definition import Definition, DefinitionError, parse
from local_cloud.sagemaker.errors import ConflictException, ResourceNotFound, ValidationException
from local_cloud.sagemaker.paging import page, summary
from local_cloud.sagemaker.service import Operation, SageMaker
from local_cloud.sagemaker.store import Document


def parsed(text: str) -> Definition:
    """The checked definition; raises ValidationException in AWS's words."""
    try:
        definition = parse(text)
        check(definition)
    except DefinitionError as error:
        raise ValidationException(f"Unable to parse pipeline definition. {error}") from error
    return definition


def existing(service: SageMaker, call: Call, name_or_arn: str) -> Document:
    name = arns.name_of(name_or_arn)
    pipeline = service.store.get(call.scope, "pipeline", name)
    if pipeline is None:
        arn = arns.arn(call.scope, "pipeline", name)
        raise ResourceNotFound(f"Pipeline '{arn}' does not exist.")
    return pipeline


def _definition_text(service: SageMaker, call: Call, request: dict[str, Any]) -> str:
    if "PipelineDefinition" in request:
        return str(request["PipelineDefinition"])
    location = request["PipelineDefinitionS3Location"]
    arn = arns.arn(call.scope, "pipeline", request["PipelineName"])
    s3 = service.clients.get("s3", call.scope, request["RoleArn"], f"{arn}/*")
    version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
    try:
        answer = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"], **version)
        return str(answer["Body"].read().decode())
    except (ClientError, UnicodeDecodeError) as error:
        uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
        raise ValidationException(f"Unable to read pipeline definition from {uri}: {error}") from error


def _refuse_two_definitions(request: dict[str, Any]) -> None:
    if "PipelineDefinition" in request and "PipelineDefinitionS3Location" in request:
        raise ValidationException("Only one of PipelineDefinition and PipelineDefinitionS3Location may be given.")


def _create(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    if ("PipelineDefinition" in request) == ("PipelineDefinitionS3Location" in request):
        raise ValidationException("Exactly one of PipelineDefinition and PipelineDefinitionS3Location is needed.")
    call.authorize("iam:PassRole", request["RoleArn"])
    text = _definition_text(service, call, request)
    parsed(text)
    name, now = request["PipelineName"], time.time()
    arn = arns.arn(call.scope, "pipeline", name)
    with service.store.transaction():
        known = service.store.get(call.scope, "pipeline", name)
        if known is not None:
            if known["ClientRequestToken"] == request["ClientRequestToken"]:
                return {"PipelineArn": arn}
            # The API reference lists ConflictException; what AWS answers is this, which its SDK's upsert goes by
            # (aws/sagemaker-python-sdk, workflow/pipeline.py; pull request 6256 of 2026 on the wording).
            raise ValidationException(
                f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) "
                "already exists."
            )
        tags.set_at_creation(service, call, arn, request)
        pipeline = summary(request, "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn",
                           "ParallelismConfiguration", "ClientRequestToken")  # fmt: skip
        pipeline |= {
            "PipelineArn": arn,
            "PipelineDefinition": text,
            "PipelineStatus": "Active",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        service.store.put(call.scope, "pipeline", name, pipeline)
    return {"PipelineArn": arn}


def _update(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    pipeline = existing(service, call, request["PipelineName"])
    if "RoleArn" in request:
        call.authorize("iam:PassRole", request["RoleArn"])
    _refuse_two_definitions(request)
    changes = summary(request, "PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
    if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
        text = _definition_text(service, call, {"RoleArn": pipeline["RoleArn"]} | request)
        parsed(text)
        changes["PipelineDefinition"] = text
    service.store.update(call.scope, "pipeline", pipeline["PipelineName"], **changes, LastModifiedTime=time.time())
    return {"PipelineArn": pipeline["PipelineArn"]}


def _describe(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return _without_token(existing(service, call, request["PipelineName"]))


def _delete(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Deletes the pipeline and, as on AWS, all its executions."""
    with service.store.transaction():
        pipeline = existing(service, call, request["PipelineName"])
        name, arn = pipeline["PipelineName"], pipeline["PipelineArn"]
        for execution in service.store.find(call.scope, "execution", f"{arn}/"):
            if execution["PipelineExecutionStatus"] in ("Executing", "Stopping"):
                raise ConflictException(
                    f"Pipeline '{arn}' cannot be deleted while execution '{execution['PipelineExecutionArn']}' is "
                    f"{execution['PipelineExecutionStatus']}."
                )
        service.store.delete(call.scope, "pipeline", name)
        for kind, prefix in (("execution", arn), ("step", arn), ("cache", arn), ("start-token", name)):
            service.store.delete_all(call.scope, kind, f"{prefix}/")
        tags.forget(service, call, arn)
    return {"PipelineArn": arn}


def _list(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    prefix = request.get("PipelineNamePrefix", "")
    members = ("PipelineArn", "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn", "CreationTime",
               "LastModifiedTime")  # fmt: skip
    items = [summary(pipeline, *members) for pipeline in service.store.find(call.scope, "pipeline", prefix)]
    return page(items, request, "PipelineSummaries")


def _without_token(pipeline: Document) -> Document:
    return {name: value for name, value in pipeline.items() if name != "ClientRequestToken"}


OPERATIONS: dict[str, Operation] = {
    "CreatePipeline": _create,
    "UpdatePipeline": _update,
    "DescribePipeline": _describe,
    "DeletePipeline": _delete,
    "ListPipelines": _list,
}
