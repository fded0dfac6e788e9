"""The outcome of a deployment, once the endpoint is no longer busy: send a notice, and tag a rolled-back configuration.

The tag belongs to the endpoint configuration that was rolled back, and is deleted with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_model.environment import Environment
from shared import log, notice_queue
from shared.aws import SqsClient
from shared.champion import Champion

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

ROLLED_BACK = "headrace:rolled-back"


def deployed(
    sqs: SqsClient, environment: Environment, champion: Champion, endpoint: DescribeEndpointOutputTypeDef
) -> None:
    """Report that the endpoint is InService with the champion's configuration, once for each change of the endpoint."""
    log.info("deployed", endpoint=endpoint["EndpointName"], configuration=endpoint["EndpointConfigName"])
    notice_queue.send(
        sqs,
        environment.notices_queue_url,
        "deployed",
        endpoint=endpoint["EndpointName"],
        configuration=endpoint["EndpointConfigName"],
        model_package_arn=champion.model_package_arn,
        version=champion.version,
        changed=_milliseconds(endpoint),
    )


def artifact_refused(sqs: SqsClient, environment: Environment, champion: Champion, reason: str) -> None:
    """Report an artifact that is not the registered one. One notice is sent for each reason."""
    log.warning("artifact refused", model_package=champion.model_package_arn, reason=reason)
    notice_queue.send(
        sqs,
        environment.notices_queue_url,
        "artifact-refused",
        endpoint=environment.endpoint_name,
        model_package_arn=champion.model_package_arn,
        version=champion.version,
        reason=reason,
    )


def rolled_back(
    sagemaker: SageMakerClient,
    sqs: SqsClient,
    environment: Environment,
    champion: Champion,
    endpoint: DescribeEndpointOutputTypeDef,
    asked: str,
    *,
    reason: str | None = None,
) -> None:
    """Report an endpoint without the requested configuration: it has gone back to its former one, or has failed.

    An endpoint whose model does not answer, and that has no former configuration, counts as failed.
    """
    status, serving = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    reason = reason or endpoint.get("FailureReason", "")
    back = status == "InService" and serving != asked
    log.warning("rolled back", endpoint=endpoint["EndpointName"], status=status, asked=asked, serving=serving)
    what: dict[str, object] = {
        "endpoint": endpoint["EndpointName"],
        "configuration": asked,
        "reason": reason,
        "changed": _milliseconds(endpoint),
    }
    if back:
        what |= {"serving": serving, "model_package_arn": champion.model_package_arn, "version": champion.version}
    else:
        what |= {"status": status}
    notice_queue.send(sqs, environment.notices_queue_url, "rolled-back" if back else "endpoint-failed", **what)
    # Tag last: if the function dies before this, the retry sends the notice again, and `notify` drops the duplicate.
    tag = {"Key": ROLLED_BACK, "Value": endpoint["LastModifiedTime"].isoformat(timespec="seconds")}
    sagemaker.add_tags(ResourceArn=_configuration_arn(endpoint, asked), Tags=[tag])  # type: ignore[list-item]


def was_rolled_back(sagemaker: SageMakerClient, endpoint: DescribeEndpointOutputTypeDef, configuration: str) -> bool:
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=_configuration_arn(endpoint, configuration))
    return any(tag["Key"] == ROLLED_BACK for page in pages for tag in page["Tags"])


def _configuration_arn(endpoint: DescribeEndpointOutputTypeDef, configuration: str) -> str:
    return f"{endpoint['EndpointArn'].rpartition(':')[0]}:endpoint-config/{configuration}"


def _milliseconds(endpoint: DescribeEndpointOutputTypeDef) -> int:
    """The time of the change in the unit of the endpoint's events, so that notice and event count as one change."""
    return round(endpoint["LastModifiedTime"].timestamp() * 1000)
