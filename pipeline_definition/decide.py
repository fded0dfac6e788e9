"""CheckQuality, RegisterModel and RefuseModel: is the winner good enough, and not worse than the champion?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_definition import evaluate
from pipeline_definition.evaluate import figure
from pipeline_definition.job import service_retries
from pipeline_definition.references import binding, execution, join, parameter, processing_output, step, text
from pipeline_definition.settings import PipelineSettings
from pipeline_definition.train import lanes

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ModelMetricsTypeDef

ACCURACY = "multiclass_classification_metrics.accuracy.value"
IMPROVEMENT = "improvement"
"""The winner's accuracy less the champion's; the winner's accuracy itself where there is no champion."""


def check_quality(settings: PipelineSettings) -> dict[str, Any]:
    return {
        "Name": "CheckQuality",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                _at_least(figure(ACCURACY), parameter("AccuracyThreshold")),
                _at_least(figure(IMPROVEMENT), 0.0),
            ],
            "IfSteps": [register_model(settings)],
            "ElseSteps": [refuse_model()],
        },
    }


def register_model(settings: PipelineSettings) -> dict[str, Any]:
    """Register Evaluate's copy of the winner, with what a reviewer needs to trace it: data, code, jobs, execution."""
    jobs = {f"{lane.step_name}Job": step(lane.step_name, "TrainingJobName") for lane in lanes(settings)}
    return {
        "Name": "RegisterModel",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": binding("ModelPackageGroupName"),
            "InferenceSpecification": _inference(settings),
            "ModelApprovalStatus": parameter("ModelApprovalStatus"),
            "ModelMetrics": _metrics(),
            "MetadataProperties": {"GeneratedBy": execution("PipelineExecutionArn")},
            "CustomerMetadataProperties": {
                "DataSet": parameter("DataSet"),
                "Fingerprint": parameter("Fingerprint"),
                "CodeHash": binding("CodeHash"),
                "PipelineExecutionArn": execution("PipelineExecutionArn"),
                "Winner": text(figure("winner.name")),
                "Accuracy": text(figure(ACCURACY)),
                "Improvement": text(figure(IMPROVEMENT)),
                **jobs,
            },
        },
        "RetryPolicies": service_retries(),
    }


def refuse_model() -> dict[str, Any]:
    message = join(
        "The model was not registered: '",
        figure("winner.name"),
        "' has accuracy ",
        figure(ACCURACY),
        " on the test set, where ",
        parameter("AccuracyThreshold"),
        " is asked for, and differs from the champion by ",
        figure(IMPROVEMENT),
        ", where 0 or more is asked for.",
        " hint: compare the per-class figures in evaluation.json; more data or epochs, or a lower AccuracyThreshold.",
    )
    return {"Name": "RefuseModel", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def _at_least(left: Any, right: Any) -> dict[str, Any]:
    return {"Type": "GreaterThanOrEqualTo", "LeftValue": left, "RightValue": right}


def _inference(settings: PipelineSettings) -> dict[str, Any]:
    return {
        "Containers": [
            {
                "Image": binding("InferenceImage"),
                "ModelDataUrl": join(processing_output(evaluate.NAME, "winner"), "/model.tar.gz"),
                "Framework": "PYTORCH",
                "Environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            }
        ],
        "SupportedContentTypes": ["image/jpeg", "image/png", "application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
        "SupportedTransformInstanceTypes": list(settings.inference_instance_types),
        "SupportedRealtimeInferenceInstanceTypes": list(settings.inference_instance_types),
    }


def _metrics() -> ModelMetricsTypeDef:
    report = join(processing_output(evaluate.NAME, "evaluation"), f"/{evaluate.REPORT_FILE}")
    return {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": report}}}
