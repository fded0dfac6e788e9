"""Links to the AWS console, in the region of an ARN."""

from __future__ import annotations

from urllib.parse import quote

JOB_PAGES = {"TrainingJob": "jobs", "ProcessingJob": "processing-jobs"}


def job_link(arn: str, kind: str, job: str) -> str:
    return f"{_console(arn, 'sagemaker')}#/{JOB_PAGES[kind]}/{job}"


def log_link(arn: str, group: str, stream: str) -> str:
    """The console expects names that are encoded twice, with $ for the second percent sign: / is $252F."""
    return f"{_console(arn, 'cloudwatch')}#logsV2:log-groups/log-group/{_twice(group)}/log-events/{_twice(stream)}"


def quota_link(region: str) -> str:
    """SageMaker's page in Service Quotas, where users request an increase."""
    return f"https://{region}.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"


def _console(arn: str, service: str) -> str:
    region = arn.split(":")[3]
    return f"https://{region}.console.aws.amazon.com/{service}/home?region={region}"


def _twice(name: str) -> str:
    return quote(quote(name, safe=""), safe="").replace("%", "$")
