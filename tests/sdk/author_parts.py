"""Inputs, channels, retries and the session of the pipeline that author.py writes with the SDK."""

from __future__ import annotations

from typing import Any

import boto3
from sagemaker.core.shapes import Channel, DataSource, ProcessingInput, ProcessingS3Input, S3DataSource
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)

INPUT = "/opt/ml/processing/input"


def processing_input(name: str, uri: Any, data_type: str = "S3Prefix") -> ProcessingInput:
    return ProcessingInput(
        input_name=name,
        app_managed=False,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"{INPUT}/{name}",
            s3_data_type=data_type,
            s3_input_mode="File",
            s3_data_distribution_type="FullyReplicated",
            s3_compression_type="None",
        ),
    )


def channel(name: str, uri: Any) -> Channel:
    source = S3DataSource(s3_data_type="S3Prefix", s3_uri=uri, s3_data_distribution_type="FullyReplicated")
    return Channel(channel_name=name, data_source=DataSource(s3_data_source=source))


def service_retries() -> list[StepRetryPolicy]:
    faults = [StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING]
    return [StepRetryPolicy(exception_types=faults, interval_seconds=5, backoff_rate=2.0, max_attempts=5)]


def job_retries() -> list[Any]:
    error = [SageMakerJobExceptionTypeEnum.INTERNAL_ERROR]
    capacity, quota = [SageMakerJobExceptionTypeEnum.CAPACITY_ERROR], [SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT]
    return [
        *service_retries(),
        SageMakerJobStepRetryPolicy(exception_types=error, interval_seconds=30, backoff_rate=2.0, max_attempts=3),
        SageMakerJobStepRetryPolicy(
            exception_types=capacity, interval_seconds=60, backoff_rate=1.5, expire_after_mins=180
        ),
        SageMakerJobStepRetryPolicy(exception_types=quota, interval_seconds=60, backoff_rate=2.0, max_attempts=3),
    ]


def pipeline_session(bindings: dict[str, str]) -> PipelineSession:
    quiet = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
    session = PipelineSession(boto_session=boto3.Session(), sagemaker_config=quiet)
    session._default_bucket = bindings["DataBucket"]  # given openly, the SDK asks S3 whether there is such a bucket
    return session
