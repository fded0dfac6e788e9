"""Pipelines: create, update, describe, delete and list.

A definition is checked when it arrives, so a bad one is refused at the first moment it can be known and the pipeline
that was there stays in place.
"""

import time
from typing import Any

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
    answer = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"])
    return str(answer["Body"].read().decode())


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
            raise ConflictException(
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
    pipeline = existing(service, call, request["PipelineName"])
    for execution in service.store.find(call.scope, "execution"):
        if execution["PipelineArn"] == pipeline["PipelineArn"] and execution["PipelineExecutionStatus"] in (
            "Executing",
            "Stopping",
        ):
            raise ConflictException(
                f"Pipeline '{pipeline['PipelineArn']}' cannot be deleted while execution "
                f"'{execution['PipelineExecutionArn']}' is {execution['PipelineExecutionStatus']}."
            )
    service.store.delete(call.scope, "pipeline", pipeline["PipelineName"])
    tags.forget(service, call, pipeline["PipelineArn"])
    return {"PipelineArn": pipeline["PipelineArn"]}


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
