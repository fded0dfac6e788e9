"""EventBridge events with AWS's names.

Sources: the SageMaker developer guide, "Automating Amazon SageMaker with Amazon EventBridge", and EventBridge's own
reference of SageMaker events. Pipeline events use lowerCamel members, job and registry events PascalCase.
"""

import re
from datetime import UTC, datetime
from typing import Any

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.cloud import Cloud
from local_cloud.sagemaker.core.store import Document, Scope

_PIPELINE_EXECUTION = "SageMaker Model Building Pipeline Execution Status Change"
_PIPELINE_STEP = "SageMaker Model Building Pipeline Execution Step Status Change"
_MODEL_PACKAGE = "SageMaker Model Package State Change"
_JOB = {
    "Training": "SageMaker Training Job State Change",
    "Processing": "SageMaker Processing Job State Change",
}
_ENDPOINT = "SageMaker Endpoint State Change"

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def pipeline_execution_changed(cloud: Cloud, scope: Scope, execution: Document, previous: str | None) -> None:
    detail = {
        "pipelineArn": execution["PipelineArn"],
        "pipelineExecutionArn": execution["PipelineExecutionArn"],
        "pipelineExecutionDisplayName": execution.get("PipelineExecutionDisplayName"),
        "pipelineExecutionDescription": execution.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": execution["PipelineExecutionStatus"],
        "previousPipelineExecutionStatus": previous,
        "executionStartTime": _iso(execution.get("CreationTime")),
        "executionEndTime": _iso(execution.get("EndTime")),
    }
    resources = [execution["PipelineArn"], execution["PipelineExecutionArn"]]
    cloud.publish(scope, _PIPELINE_EXECUTION, _present(detail), resources)


def pipeline_step_changed(
    cloud: Cloud, scope: Scope, execution: Document, step: Document, step_type: str, previous: str | None
) -> None:
    hit = step.get("CacheHitResult")
    detail = {
        "stepName": step["StepName"],
        "stepType": step_type,
        "pipelineArn": execution["PipelineArn"],
        "pipelineExecutionArn": execution["PipelineExecutionArn"],
        "currentStepStatus": step["StepStatus"],
        "previousStepStatus": previous,
        "stepStartTime": _iso(step.get("StartTime")),
        "stepEndTime": _iso(step.get("EndTime")),
        "failureReason": step.get("FailureReason"),
        "cacheHitResult": {"sourcePipelineExecutionArn": hit["SourcePipelineExecutionArn"]} if hit else None,
        "metadata": _lower_camel(step.get("Metadata", {})),
    }
    resources = [execution["PipelineArn"], execution["PipelineExecutionArn"]]
    cloud.publish(scope, _PIPELINE_STEP, _present(detail), resources)


def job_changed(cloud: Cloud, scope: Scope, kind: str, description: Document, tags: dict[str, str]) -> None:
    """``kind`` is Training or Processing; ``description`` what the Describe call answers."""
    detail = {
        name: value * 1000 if isinstance(value, float) and name.endswith("Time") else value
        for name, value in description.items()
    }
    cloud.publish(scope, _JOB[kind], detail | {"Tags": tags}, [description[f"{kind}JobArn"]])


def model_package_changed(cloud: Cloud, scope: Scope, package: Document, updated: list[str]) -> None:
    members = (
        "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
        "ModelPackageStatus", "ModelApprovalStatus", "InferenceSpecification", "ModelMetrics", "MetadataProperties",
        "CustomerMetadataProperties", "ApprovalDescription", "ModelLifeCycle",
    )  # fmt: skip
    detail = {name: package[name] for name in members if name in package}
    detail |= {"CreationTime": _iso(package["CreationTime"]), "UpdatedModelPackageFields": updated}
    cloud.publish(scope, _MODEL_PACKAGE, detail, [package["ModelPackageArn"]])


def endpoint_changed(cloud: Cloud, scope: Scope, endpoint: Document) -> None:
    detail = {
        "EndpointName": endpoint["EndpointName"],
        "EndpointArn": endpoint["EndpointArn"],
        "EndpointConfigName": endpoint["EndpointConfigName"],
        "EndpointStatus": endpoint_status(endpoint["EndpointStatus"]),
        "FailureReason": endpoint.get("FailureReason"),
        "CreationTime": int(endpoint["CreationTime"] * 1000),
        "LastModifiedTime": int(endpoint["LastModifiedTime"] * 1000),
        "Tags": {},
    }
    config = arns.arn(scope, "endpoint-config", endpoint["EndpointConfigName"])
    cloud.publish(scope, _ENDPOINT, _present(detail), [endpoint["EndpointArn"], config])


def endpoint_status(status: str) -> str:
    """In events it is in upper snake case: UpdateRollbackFailed is UPDATE_ROLLBACK_FAILED."""
    return _WORD.sub("_", status).upper()


def _iso(epoch: float | None) -> str | None:
    if epoch is None:
        return None
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _present(detail: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def _lower_camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _lower_camel(item) for name, item in value.items()}
    return value
