"""What Model and EndpointConfig steps share: create a resource that exists at once, and read its description."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.aws_errors import error_details
from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.job import marks, plain, tags_of_job
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, failed


def run(attempt: Attempt, kind: str, name: str) -> Outcome:
    """``kind`` is Model or EndpointConfig; it is created as the pipeline's role."""
    client = attempt.client("sagemaker")
    noun = {"Model": "model", "EndpointConfig": "endpoint_config"}[kind]
    arn = arns.arn(attempt.scope, noun.replace("_", "-"), name)
    request = attempt.arguments | {f"{kind}Name": name, "Tags": tags_of_job(attempt)}
    try:
        with already_created(lambda: _is_of(attempt, client, arn)):
            getattr(client, f"create_{noun}")(**request)
        description = getattr(client, f"describe_{noun}")(**{f"{kind}Name": name})
    except ClientError as error:
        action = error.operation_name
        return failed(f"ClientError: Failed to invoke sagemaker:{action}. Error Details: {error_details(error)}")
    return Outcome(StepStatus.SUCCEEDED, properties=plain(description), metadata={kind: {"Arn": arn}})


@contextmanager
def already_created(by_this_step: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Goes on when the resource exists because this step created it: its answer was lost, or a restart came between."""
    try:
        yield
    except ClientError as error:
        if "Cannot create already existing" not in str(error) or not by_this_step():
            raise


def _is_of(attempt: Attempt, client: Any, arn: str) -> bool:
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]}
    return marks(attempt).items() <= tags.items()
