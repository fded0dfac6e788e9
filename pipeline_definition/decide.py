"""CheckQuality and what follows: is the winner good enough, where is it stored, was it compared with the champion?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_definition import evaluate
from pipeline_definition.evaluate import figure
from pipeline_definition.job import service_retries
from pipeline_definition.references import (
    binding,
    code_hash,
    execution,
    join,
    lambda_output,
    parameter,
    processing_output,
    step,
    text,
)
from pipeline_definition.settings import PipelineSettings
from pipeline_definition.train import SCRIPT, lanes

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ModelMetricsTypeDef

STORE_MODEL = "StoreModel"
ACCURACY = "multiclass_classification_metrics.accuracy.value"
MACRO_F1 = "multiclass_classification_metrics.macro_f1.value"
LOWEST_RECALL = "lowest_recall.value"
ARTIFACT_SHA256 = "artifact.sha256"
ARTIFACT_BYTES = "artifact.bytes"
CHAMPION_MARGIN = "gate.champion_margin"
"""How much of the tolerance is left: 0 or more passes, and 0 where nothing was compared."""
NEEDS_PERSON = "gate.needs_person"
"""1 where the registry has a champion that the candidate could not be compared with, else 0."""
# What training/inference.py takes; it also takes other types of images, and a request without a type.
CONTENT_TYPES = (
    "image/jpeg", "image/jpg", "image/png", "image/webp", "image/bmp", "image/tiff", "image/gif", "image/avif",
    "application/x-image", "application/octet-stream", "application/json",
)  # fmt: skip
IMPROVEMENT = "improvement"
"""The winner's accuracy less the champion's; the winner's accuracy itself where nothing was compared."""
SUMMARY = {  # metadata of a version: member of the evaluation's summary
    "Classes": "classes",
    "ClassesDigest": "classes_digest",
    "ImageSize": "image_size",
    "Network": "network",
    "Comparison": "comparison",
    "Warnings": "warnings",
}


def check_quality(settings: PipelineSettings) -> dict[str, Any]:
    return {
        "Name": "CheckQuality",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                _at_least(figure(ACCURACY), parameter("AccuracyThreshold")),
                _at_least(figure(CHAMPION_MARGIN), 0.0),
                _at_least(figure(MACRO_F1), parameter("MacroF1Threshold")),
                _at_least(figure(LOWEST_RECALL), parameter("ClassRecallFloor")),
            ],
            "IfSteps": [store_model(), check_comparison(settings)],
            "ElseSteps": [refuse_model()],
        },
    }


def store_model() -> dict[str, Any]:
    """Copy the winner to models/<its SHA-256>/, where nobody can write but the function that does this.

    Jobs can still write where Evaluate left it, so what is registered, approved and served is the copy. The function
    compares its bytes with what Evaluate judged.
    """
    return {
        "Name": STORE_MODEL,
        "Type": "Lambda",
        "FunctionArn": binding("StoreModelFunctionArn"),
        "Arguments": {
            "ModelDataUrl": join(processing_output(evaluate.NAME, "winner"), "/model.tar.gz"),
            "Sha256": figure(ARTIFACT_SHA256),
            "Bytes": figure(ARTIFACT_BYTES),
            "PipelineExecutionArn": execution("PipelineExecutionArn"),  # for the function's log
        },
        "OutputParameters": [
            {"OutputName": "ModelDataUrl", "OutputType": "String"},
            {"OutputName": "VersionId", "OutputType": "String"},
        ],
    }


def check_comparison(settings: PipelineSettings) -> dict[str, Any]:
    """A model that could not be compared with the champion waits for a person, whatever the environment approves."""
    return {
        "Name": "CheckComparison",
        "Type": "Condition",
        "DependsOn": [STORE_MODEL],
        "Arguments": {
            "Conditions": [{"Type": "LessThanOrEqualTo", "LeftValue": figure(NEEDS_PERSON), "RightValue": 0}],
            "IfSteps": [register_model(settings)],
            "ElseSteps": [register_model(settings, "RegisterForReview", "PendingManualApproval")],
        },
    }


def register_model(
    settings: PipelineSettings, name: str = "RegisterModel", approval: str | None = None
) -> dict[str, Any]:
    """Register the stored winner, with what a reviewer needs to trace it: bytes, data, code, jobs, execution."""
    jobs = {f"{lane.step_name}Job": step(lane.step_name, "TrainingJobName") for lane in lanes(settings)}
    return {
        "Name": name,
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": binding("ModelPackageGroupName"),
            "InferenceSpecification": _inference(settings),
            "ModelApprovalStatus": approval or binding("ModelApprovalStatus"),
            "ModelMetrics": _metrics(),
            "MetadataProperties": {"GeneratedBy": execution("PipelineExecutionArn")},
            "CustomerMetadataProperties": {
                "DataSet": parameter("DataSet"),
                "Fingerprint": parameter("Fingerprint"),
                "CodeHash": binding("CodeHash"),
                "ArtifactSha256": text(figure(ARTIFACT_SHA256)),
                "ArtifactBytes": text(figure(ARTIFACT_BYTES)),
                "ArtifactVersionId": lambda_output(STORE_MODEL, "VersionId"),
                "TrainCode": code_hash(SCRIPT),  # what the training ran: under code/<this>/ in the data bucket
                "PipelineExecutionArn": execution("PipelineExecutionArn"),
                "Winner": text(figure("winner.name")),
                "Accuracy": text(figure(ACCURACY)),
                "Improvement": text(figure(IMPROVEMENT)),
                **{name: text(figure(f"summary.{member}")) for name, member in SUMMARY.items()},
                **jobs,
            },
        },
        "RetryPolicies": service_retries(),
    }


def refuse_model() -> dict[str, Any]:
    """Evaluate says all that was missed, in the words of the settings: a condition has no text."""
    message = join(
        "The model was not registered: ",
        figure("gate.refusal"),
        ". hint: compare the per-class figures in evaluation.json; use more data or epochs, or change the setting"
        " under [<environment>.pipeline] in environments.toml.",
    )
    return {"Name": "RefuseModel", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _at_least(left: Any, right: Any) -> dict[str, Any]:
    return {"Type": "GreaterThanOrEqualTo", "LeftValue": left, "RightValue": right}


def _inference(settings: PipelineSettings) -> dict[str, Any]:
    return {
        "Containers": [
            {
                "Image": binding("InferenceImage"),
                "ModelDataUrl": lambda_output(STORE_MODEL, "ModelDataUrl"),
                "Framework": "PYTORCH",
                "Environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            }
        ],
        "SupportedContentTypes": list(CONTENT_TYPES),
        "SupportedResponseMIMETypes": ["application/json"],
        "SupportedTransformInstanceTypes": list(settings.inference_instance_types),
        "SupportedRealtimeInferenceInstanceTypes": list(settings.inference_instance_types),
    }


def _metrics() -> ModelMetricsTypeDef:
    report = join(processing_output(evaluate.NAME, "evaluation"), f"/{evaluate.REPORT_FILE}")
    return {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": report}}}
