"""Pipelines: create, update, describe, delete and list.

A definition is checked when it arrives, so a bad one is refused at the first moment it can be known and the pipeline
that was there stays in place.
"""

import time
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core import arns, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ConflictException, ResourceNotFound, ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import ExecutionStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.pipelines.engine.check import checked
from pipeline_language.definition import Definition, DefinitionError


def parsed(text: str) -> Definition:
    """The checked definition; raises ValidationException in AWS's words."""
    try:
        return checked(text)
    except DefinitionError as error:
        raise ValidationException(f"Unable to parse pipeline definition. {error}") from error


def existing(context: Context, call: Call, name_or_arn: str) -> Document:
    name = arns.name_of(name_or_arn)
    pipeline = context.store.get(call.scope, DocumentKind.PIPELINE, name)
    if pipeline is None:
        arn = arns.arn(call.scope, "pipeline", name)
        raise ResourceNotFound(f"Pipeline '{arn}' does not exist.")
    return pipeline


class Pipelines:
    """Pipelines: create, update, describe, delete, list."""

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    def operations(self) -> Operations:
        return {
            "CreatePipeline": self._create,
            "UpdatePipeline": self._update,
            "DescribePipeline": self._describe,
            "DeletePipeline": self._delete,
            "ListPipelines": self._list,
        }

    def _definition_text(self, call: Call, request: dict[str, Any]) -> str:
        if "PipelineDefinition" in request:
            return str(request["PipelineDefinition"])
        location = request["PipelineDefinitionS3Location"]
        arn = arns.arn(call.scope, "pipeline", request["PipelineName"])
        s3 = self._context.clients.get("s3", call.scope, request["RoleArn"], f"{arn}/*")
        version = {"VersionId": location["VersionId"]} if "VersionId" in location else {}
        try:
            answer = s3.get_object(Bucket=location["Bucket"], Key=location["ObjectKey"], **version)
            return str(answer["Body"].read().decode())
        except (ClientError, UnicodeDecodeError) as error:
            uri = f"s3://{location['Bucket']}/{location['ObjectKey']}"
            raise ValidationException(f"Unable to read pipeline definition from {uri}: {error}") from error

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if ("PipelineDefinition" in request) == ("PipelineDefinitionS3Location" in request):
            raise ValidationException("Exactly one of PipelineDefinition and PipelineDefinitionS3Location is needed.")
        call.authorize("iam:PassRole", request["RoleArn"])
        text = self._definition_text(call, request)
        parsed(text)
        name, now = request["PipelineName"], time.time()
        arn = arns.arn(call.scope, "pipeline", name)
        with self._store.transaction():
            known = self._store.get(call.scope, DocumentKind.PIPELINE, name)
            if known is not None:
                if known["ClientRequestToken"] == request["ClientRequestToken"]:
                    return {"PipelineArn": arn}
                # The API reference lists ConflictException; AWS answers with this one, and its SDK's upsert needs it
                # (aws/sagemaker-python-sdk, workflow/pipeline.py; pull request 6256 of 2026 on the wording).
                raise ValidationException(
                    f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) "
                    "already exists."
                )
            tags.tag_on_create(self._store, call, arn, request)
            pipeline = pick(request, "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn",
                               "ParallelismConfiguration", "ClientRequestToken")  # fmt: skip
            pipeline |= {
                "PipelineArn": arn,
                "PipelineDefinition": text,
                "PipelineStatus": "Active",
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._store.put(call.scope, DocumentKind.PIPELINE, name, pipeline)
        return {"PipelineArn": arn}

    def _update(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        pipeline = existing(self._context, call, request["PipelineName"])
        if "RoleArn" in request:
            call.authorize("iam:PassRole", request["RoleArn"])
        _refuse_two_definitions(request)
        changes = pick(request, "PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
        if "PipelineDefinition" in request or "PipelineDefinitionS3Location" in request:
            text = self._definition_text(call, {"RoleArn": pipeline["RoleArn"]} | request)
            parsed(text)
            changes["PipelineDefinition"] = text
        self._store.update(
            call.scope, DocumentKind.PIPELINE, pipeline["PipelineName"], **changes, LastModifiedTime=time.time()
        )
        return {"PipelineArn": pipeline["PipelineArn"]}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return _without_token(existing(self._context, call, request["PipelineName"]))

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Deletes the pipeline and, as on AWS, all its executions."""
        with self._store.transaction():
            pipeline = existing(self._context, call, request["PipelineName"])
            name, arn = pipeline["PipelineName"], pipeline["PipelineArn"]
            for execution in self._store.find(call.scope, DocumentKind.EXECUTION, f"{arn}/"):
                if execution["PipelineExecutionStatus"] in (ExecutionStatus.EXECUTING, ExecutionStatus.STOPPING):
                    raise ConflictException(
                        f"Pipeline '{arn}' cannot be deleted while execution '{execution['PipelineExecutionArn']}' is "
                        f"{execution['PipelineExecutionStatus']}."
                    )
            self._store.delete(call.scope, DocumentKind.PIPELINE, name)
            for kind, prefix in (
                (DocumentKind.EXECUTION, arn),
                (DocumentKind.STEP, arn),
                (DocumentKind.CACHED_RESULT, arn),
                (DocumentKind.START_TOKEN, name),
            ):
                self._store.delete_all(call.scope, kind, f"{prefix}/")
            tags.delete(self._store, call.scope, arn)
        return {"PipelineArn": arn}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        prefix = request.get("PipelineNamePrefix", "")
        members = ("PipelineArn", "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn",
                   "CreationTime", "LastModifiedTime")  # fmt: skip
        items = [pick(pipeline, *members) for pipeline in self._store.find(call.scope, DocumentKind.PIPELINE, prefix)]
        return page(items, request, "PipelineSummaries")


def _refuse_two_definitions(request: dict[str, Any]) -> None:
    if "PipelineDefinition" in request and "PipelineDefinitionS3Location" in request:
        raise ValidationException("Only one of PipelineDefinition and PipelineDefinitionS3Location may be given.")


def _without_token(pipeline: Document) -> Document:
    return {name: value for name, value in pipeline.items() if name != "ClientRequestToken"}
