"""Bringing the endpoint to serve the champion, whatever it is doing at the moment.

The message is only a hint that something may have changed. What is served is decided here and now from the registry,
so messages may come twice, late or in any order. A busy endpoint is looked at again later by a message of our own:
failing the message instead would use up its receives.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

import log
from aws import SqsClient, says
from champion import find_champion
from deploy_model.environment import Environment
from deploy_model.model import ensure_configuration, tag_list
from refusals import EndpointError

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

LOOK_AGAIN_SECONDS = 30
MOST_LOOKS = 120  # an hour: an endpoint is created or updated in 5 to 10 minutes, longer with a slow traffic shift

BUSY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
UPDATABLE = frozenset({"InService", "OutOfService", "UpdateRollbackFailed"})


def serve_champion(sagemaker: SageMakerClient, sqs: SqsClient, environment: Environment, *, looks: int = 0) -> None:
    """Create or update the endpoint so that it serves the champion. `looks` counts the looks before this one."""
    name = environment.endpoint_name
    champion = find_champion(sagemaker, environment.model_package_group)
    if champion is None:
        log.warning(
            "no approved model: the endpoint is left as it is",
            group=environment.model_package_group,
            hint=f"approve a version, or delete the endpoint: aws sagemaker delete-endpoint --endpoint-name {name}",
        )
        return
    wanted = ensure_configuration(sagemaker, environment, champion)
    endpoint = _describe(sagemaker, name)
    status = "Absent" if endpoint is None else endpoint["EndpointStatus"]
    log.info("endpoint found", endpoint=name, status=status, champion=champion.model_package_arn, wanted=wanted)
    if endpoint is None:
        _create(sagemaker, sqs, environment, wanted, looks)
    elif status == "Failed":
        # Nothing but deletion is possible with a failed endpoint.
        sagemaker.delete_endpoint(EndpointName=name)
        _look_again(sqs, environment, looks, "a failed endpoint is being deleted")
    elif status in BUSY:
        if status == "Deleting" or _target(endpoint) != wanted:
            _look_again(sqs, environment, looks, f"it is {status}")
    elif status not in UPDATABLE:
        raise EndpointError(
            f"the endpoint {name} is {status}, which this function does not know",
            hint="look at it in the console, then send the message again",
        )
    elif endpoint["EndpointConfigName"] != wanted:
        _update(sagemaker, sqs, environment, wanted, looks)
    elif status != "InService":
        raise EndpointError(
            f"the endpoint {name} has the champion's configuration but is {status}: "
            f"{endpoint.get('FailureReason', 'no reason given')}",
            hint="delete the endpoint and send the message again: it is then created anew",
        )


def _create(sagemaker: SageMakerClient, sqs: SqsClient, environment: Environment, wanted: str, looks: int) -> None:
    try:
        sagemaker.create_endpoint(
            EndpointName=environment.endpoint_name, EndpointConfigName=wanted, Tags=tag_list(environment)
        )
    except ClientError as error:
        if not says(error, "already existing"):
            raise
        _look_again(sqs, environment, looks, "another worker has created it")
    else:
        log.info("endpoint is being created", endpoint=environment.endpoint_name, configuration=wanted)


def _update(sagemaker: SageMakerClient, sqs: SqsClient, environment: Environment, wanted: str, looks: int) -> None:
    try:
        sagemaker.update_endpoint(EndpointName=environment.endpoint_name, EndpointConfigName=wanted)
    except ClientError as error:
        if not says(error, "in-progress"):
            raise
        _look_again(sqs, environment, looks, "another worker has begun to update it")
    else:
        log.info("endpoint is being updated", endpoint=environment.endpoint_name, configuration=wanted)


def _describe(sagemaker: SageMakerClient, name: str) -> DescribeEndpointOutputTypeDef | None:
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if says(error, "could not find"):
            return None
        raise


def _target(endpoint: DescribeEndpointOutputTypeDef) -> str:
    """The configuration that the endpoint is on its way to: EndpointConfigName is the old one during an update."""
    pending = endpoint.get("PendingDeploymentSummary")
    return pending["EndpointConfigName"] if pending else endpoint["EndpointConfigName"]


def _look_again(sqs: SqsClient, environment: Environment, looks: int, reason: str) -> None:
    if looks >= MOST_LOOKS:
        raise EndpointError(
            f"the endpoint {environment.endpoint_name} does not come to rest: {reason} at the look number {looks + 1}",
            hint="see why in the console, then redrive the dead-letter queue",
        )
    body = json.dumps({"headrace": "look-again", "count": looks + 1})
    sqs.send_message(QueueUrl=environment.queue_url, MessageBody=body, DelaySeconds=LOOK_AGAIN_SECONDS)
    log.info("will look again", endpoint=environment.endpoint_name, reason=reason, seconds=LOOK_AGAIN_SECONDS)
