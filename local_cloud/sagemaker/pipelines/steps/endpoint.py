"""Endpoint step: creates an endpoint, or updates the one of that name, and waits until it serves.

Create or update is chosen by whether it exists (sagemaker-mlops, ``EndpointStep``). An endpoint that was rolled back
fails the step.
"""

import time
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.aws_errors import error_details
from local_cloud.sagemaker.core.statuses import EndpointStatus, StepStatus
from local_cloud.sagemaker.pipelines.steps.create_resource import already_created
from local_cloud.sagemaker.pipelines.steps.job import plain, tags_of_job
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed

_UNDER_WAY = (EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.SYSTEM_UPDATING)


def _run(attempt: Attempt) -> Outcome:
    client = attempt.client("sagemaker")
    name, config = attempt.arguments["EndpointName"], attempt.arguments["EndpointConfigName"]
    metadata = {"Endpoint": {"Arn": arns.arn(attempt.scope, "endpoint", name)}}
    try:
        _ask(attempt, client, name, config)
        attempt.record_metadata(metadata)
        while (description := client.describe_endpoint(EndpointName=name))["EndpointStatus"] in _UNDER_WAY:
            if attempt.is_stopping():
                return Outcome(StepStatus.STOPPED, metadata=metadata)
            time.sleep(0.1)
    except ClientError as error:
        action = error.operation_name
        return failed(f"ClientError: Failed to invoke sagemaker:{action}. Error Details: {error_details(error)}")
    if description["EndpointStatus"] == EndpointStatus.IN_SERVICE and description["EndpointConfigName"] == config:
        return Outcome(StepStatus.SUCCEEDED, properties=plain(description), metadata=metadata)
    reason = description.get("FailureReason") or f"it serves {description['EndpointConfigName']}, and not {config}."
    return failed(f"ClientError: The endpoint {name} is {description['EndpointStatus']}: {reason}", metadata=metadata)


def _ask(attempt: Attempt, client: Any, name: str, config: str) -> None:
    """Creates or updates the endpoint, unless that is done or under way, as after a restart."""
    try:
        endpoint = client.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        with already_created():
            client.create_endpoint(**attempt.arguments | {"Tags": tags_of_job(attempt)})
        return
    if config not in (
        endpoint["EndpointConfigName"],
        endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName"),
    ):
        client.update_endpoint(EndpointName=name, EndpointConfigName=config)


TYPE = StepType(run=_run, request="CreateEndpoint", describe="DescribeEndpoint")
