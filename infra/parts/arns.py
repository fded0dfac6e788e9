"""ARNs of things that SageMaker makes at run time: the stack does not hold them, but it has to grant access to them."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from constructs import IConstruct

JOB_LOGS = ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs")
"""The log groups into which SageMaker writes the logs of all jobs of an account."""


def sagemaker_arn(scope: IConstruct, kind: str, name: str) -> str:
    """The ARN of the resource of that kind and name, such as `pipeline` or `model-package`; the name may hold `*`."""
    return Stack.of(scope).format_arn(service="sagemaker", resource=kind, resource_name=name)


def log_group_arn(scope: IConstruct, name: str) -> str:
    return Stack.of(scope).format_arn(
        service="logs", resource="log-group", resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
