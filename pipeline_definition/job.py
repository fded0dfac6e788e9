"""What the pipeline's jobs have in common: how the container starts, where it writes, what is retried and reused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_definition.references import binding, execution, join, parameter
from pipeline_definition.settings import PipelineSettings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import (
        ProcessingInputTypeDef,
        ProcessingOutputTypeDef,
        ProcessingResourcesTypeDef,
    )

PROCESSING_INPUT = "/opt/ml/processing/input"
PROCESSING_OUTPUT = "/opt/ml/processing/output"

SERVICE_FAULTS = ["Step.SERVICE_FAULT", "Step.THROTTLING"]
CAPACITY_FAULT = "SageMaker.CAPACITY_ERROR"
QUOTA_FAULT = "SageMaker.RESOURCE_LIMIT"


def entrypoint(code: str) -> list[str]:
    """Unpack the code archive and hand over to its `entry.py`; the arguments follow as separate words.

    `code` is the folder to which SageMaker downloads the archive. Each word may hold 256 characters.
    """
    command = (
        f"mkdir -p /opt/ml/code && tar -xzf {code}/source.tar.gz -C /opt/ml/code"
        ' && exec python3 /opt/ml/code/entry.py "$@"'
    )
    return ["/bin/sh", "-c", command, "entry"]


def run_uri(step_name: str, output: str = "") -> Any:
    """Where a step of this execution writes. Outputs are in no cache key, so the execution's id may stand here."""
    folder = step_name + (f"/{output}" if output else "")
    return join(f"s3://{binding('DataBucket')}/runs/", execution("PipelineExecutionId"), f"/{folder}")


def processing_input(name: str, uri: Any, data_type: str = "S3Prefix") -> ProcessingInputTypeDef:
    return {
        "InputName": name,
        "AppManaged": False,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{PROCESSING_INPUT}/{name}",
            "S3DataType": "ManifestFile" if data_type == "ManifestFile" else "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
            "S3CompressionType": "None",
        },
    }


def processing_output_to(step_name: str, name: str) -> ProcessingOutputTypeDef:
    return {
        "OutputName": name,
        "AppManaged": False,
        "S3Output": {
            "S3Uri": run_uri(step_name, name),
            "LocalPath": f"{PROCESSING_OUTPUT}/{name}",
            "S3UploadMode": "EndOfJob",
        },
    }


def processing_resources(settings: PipelineSettings) -> ProcessingResourcesTypeDef:
    return {
        "ClusterConfig": {
            "InstanceCount": 1,
            "InstanceType": parameter("ProcessingInstanceType"),
            "VolumeSizeInGB": settings.volume_size_gb,
        }
    }


def cache(settings: PipelineSettings) -> dict[str, Any]:
    """Reuse a step that succeeded with the same inputs, code and arguments."""
    return {"Enabled": True, "ExpireAfter": f"P{settings.cache_expires_after_days}D"}


def service_retries() -> list[dict[str, Any]]:
    """For calls that start no job: 5 tries from 5 s on, 2.5 minutes in all."""
    return [{"ExceptionType": SERVICE_FAULTS, "IntervalSeconds": 5, "BackoffRate": 2.0, "MaxAttempts": 5}]


def job_retries() -> list[dict[str, Any]]:
    """Faults of the service, never of the script: an error in the code fails at once, whatever stands here.

    Capacity comes back in minutes rather than seconds, so those tries start at one minute and go on for three hours.
    A quota that other jobs use up is also free again in minutes, but one of 0, which a new account has, never is:
    after three tries in 7 minutes the step fails, and people are notified.
    """
    return [
        *service_retries(),
        {
            "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"],
            "IntervalSeconds": 30,
            "BackoffRate": 2.0,
            "MaxAttempts": 3,
        },
        {"ExceptionType": [CAPACITY_FAULT], "IntervalSeconds": 60, "BackoffRate": 1.5, "ExpireAfterMin": 180},
        {"ExceptionType": [QUOTA_FAULT], "IntervalSeconds": 60, "BackoffRate": 2.0, "MaxAttempts": 3},
    ]
