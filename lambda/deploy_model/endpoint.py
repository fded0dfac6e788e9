"""Bring the endpoint to serve the champion, whatever its status is, and verify the result.

The message is only a hint that something may have changed. The function reads from the registry what to serve, so
messages may arrive twice, late or in any order. For a busy endpoint the function sends itself a delayed message
(Recheck). Failing the message instead would use up its receives.

SageMaker reports an update that it rolled back as a success: the endpoint is InService, with its former configuration.
So after a request for a configuration the function rechecks the endpoint until it is no longer busy, and sends a notice
of the outcome. A configuration that was rolled back gets a tag, and is tried again only when its version is approved
again. An endpoint that a user deletes before the recheck stays deleted: only a decision creates an endpoint.

An endpoint that is InService may have a model that answers no request, or not as recorded (probe.py). The model has a
few minutes to load; then the endpoint goes back to its former configuration.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from deploy_model import outcome, probe
from deploy_model.artifact_check import why_not_served
from deploy_model.environment import Environment
from deploy_model.messages import ModelDecided, Recheck
from deploy_model.model import ensure_configuration, tag_list
from shared import log
from shared.aws import RuntimeClient, S3Client, SqsClient, error_code, error_message, says
from shared.champion import Champion, find_champion
from shared.errors import EndpointError
from shared.resource_tags import sync_tags

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

RECHECK_SECONDS = 30
MAX_PROBES = 4  # failed probes, 30 s apart: a model of 1 GB loads in less than two minutes
MAX_RECHECKS = 120  # an hour: an endpoint is created or updated in 5 to 10 minutes, longer with a slow traffic shift

ON_ITS_WAY = frozenset({"Creating", "Updating", "RollingBack"})
BUSY = ON_ITS_WAY | {"SystemUpdating", "Deleting"}
UPDATABLE = frozenset({"InService", "OutOfService", "UpdateRollbackFailed"})


def serve_champion(
    sagemaker: SageMakerClient,
    runtime: RuntimeClient,
    s3: S3Client,
    sqs: SqsClient,
    environment: Environment,
    hint: ModelDecided | Recheck,
) -> None:
    """Create or update the endpoint so that it serves the champion, and recheck it until the outcome is known.

    A champion whose artifact is not the registered one is not deployed: the endpoint stays as it is, and a notice gives
    the reason.
    """
    name = environment.endpoint_name
    champion = find_champion(sagemaker, environment.model_package_group)
    if champion is None:
        log.warning(
            "no approved model: the endpoint is left as it is",
            group=environment.model_package_group,
            hint=f"approve a version, or delete the endpoint: aws sagemaker delete-endpoint --endpoint-name {name}",
        )
        return
    if reason := why_not_served(sagemaker, s3, environment, champion):
        outcome.artifact_refused(sqs, environment, champion, reason)
        return
    wanted = ensure_configuration(sagemaker, environment, champion)
    endpoint = describe(sagemaker, name)
    if endpoint is not None and endpoint["EndpointStatus"] != "Deleting":
        sync_tags(sagemaker, endpoint["EndpointArn"], environment.tags)
    status = "Absent" if endpoint is None else endpoint["EndpointStatus"]
    log.info("endpoint found", endpoint=name, status=status, champion=champion.model_package_arn, wanted=wanted)
    recheck = _recheck(hint, champion)
    if endpoint is None and recheck.was_there:
        log.warning(
            "the endpoint was deleted after the decision: it stays deleted",
            endpoint=name,
            configuration=wanted,
            hint="the next approval makes it; or now: headrace repair",
        )
    elif endpoint is None:
        _create(sagemaker, sqs, environment, wanted, recheck)
    elif status in BUSY:
        requested = recheck.requested == wanted or (status in ON_ITS_WAY and _target(endpoint) == wanted)
        was_there = recheck.was_there or status != "Deleting"
        later = replace(recheck, requested=wanted if requested else None, was_there=was_there)
        _recheck_later(sqs, environment, later, f"it is {status}")
    elif status != "Failed" and status not in UPDATABLE:
        raise EndpointError(
            f"the endpoint {name} has the unknown status {status}",
            hint="check it in the console, then: headrace redrive",
        )
    elif status == "InService" and endpoint["EndpointConfigName"] == wanted:
        if wanted == recheck.requested or recheck.allow_retry:
            _conclude(sagemaker, runtime, sqs, environment, champion, endpoint, recheck)
    elif wanted == recheck.requested:
        outcome.rolled_back(sagemaker, sqs, environment, champion, endpoint, wanted, reason=recheck.reason)
    elif not recheck.allow_retry and outcome.was_rolled_back(sagemaker, endpoint, wanted):
        log.warning(
            "the champion was rolled back: the endpoint is left as it is",
            endpoint=name,
            status=status,
            configuration=wanted,
            hint=f"headrace reject {champion.version}; or, to try it once more: headrace approve {champion.version}",
        )
    elif status == "Failed":
        # The only operation that SageMaker allows on a failed endpoint is its deletion.
        sagemaker.delete_endpoint(EndpointName=name)
        _recheck_later(sqs, environment, replace(recheck, was_there=False), "a failed endpoint is being deleted")
    elif endpoint["EndpointConfigName"] != wanted:
        former = endpoint["EndpointConfigName"] if status == "InService" else None
        _update(sagemaker, sqs, environment, wanted, replace(recheck, former=former))
    else:
        raise EndpointError(
            f"the endpoint {name} has the champion's configuration but is {status}: "
            f"{endpoint.get('FailureReason', 'no reason given')}",
            hint=f"aws sagemaker delete-endpoint --endpoint-name {name}; then: headrace repair",
        )


def _recheck(hint: ModelDecided | Recheck, champion: Champion) -> Recheck:
    """An approval of the champion allows another attempt, even if the champion was rolled back before."""
    if isinstance(hint, Recheck):
        return hint
    wished = hint.approval_status == "Approved" and hint.model_package_arn == champion.model_package_arn
    return Recheck(allow_retry=wished, execution=hint.execution, line=hint.line)


def _create(
    sagemaker: SageMakerClient, sqs: SqsClient, environment: Environment, wanted: str, recheck: Recheck
) -> None:
    try:
        sagemaker.create_endpoint(
            EndpointName=environment.endpoint_name, EndpointConfigName=wanted, Tags=tag_list(environment)
        )
    except ClientError as error:
        _refuse_quota(error, environment, "created")
        if not says(error, "already existing"):
            raise
        _recheck_later(sqs, environment, replace(recheck, was_there=True), "another worker has created it")
    else:
        _recheck_later(
            sqs,
            environment,
            Recheck(requested=wanted, execution=recheck.execution, line=recheck.line, was_there=True),
            "it is being created",
        )


def _update(
    sagemaker: SageMakerClient, sqs: SqsClient, environment: Environment, wanted: str, recheck: Recheck
) -> None:
    try:
        sagemaker.update_endpoint(EndpointName=environment.endpoint_name, EndpointConfigName=wanted)
    except ClientError as error:
        _refuse_quota(error, environment, "updated")
        if not says(error, "in-progress"):
            raise
        _recheck_later(sqs, environment, replace(recheck, was_there=True), "another worker has begun to update it")
    else:
        later = Recheck(requested=wanted, execution=recheck.execution, line=recheck.line, former=recheck.former)
        _recheck_later(sqs, environment, replace(later, was_there=True), "it is being updated")


def _conclude(
    sagemaker: SageMakerClient,
    runtime: RuntimeClient,
    sqs: SqsClient,
    environment: Environment,
    champion: Champion,
    endpoint: DescribeEndpointOutputTypeDef,
    recheck: Recheck,
) -> None:
    """Probe the model of an endpoint that is InService with the champion's configuration.

    If the model does not answer as the version records, the endpoint goes back to the former configuration. If the
    function ends right after UpdateEndpoint, the message is received again and finds the update in progress.
    """
    name, wanted = endpoint["EndpointName"], endpoint["EndpointConfigName"]
    package = sagemaker.describe_model_package(ModelPackageName=champion.model_package_arn)
    reason = probe.failure(runtime, name, package.get("CustomerMetadataProperties", {}))
    if reason is None:
        outcome.deployed(sqs, environment, champion, endpoint)
        return
    log.warning(
        "the model fails the probe", endpoint=name, configuration=wanted, reason=reason, probes=recheck.probes + 1
    )
    if recheck.probes + 1 < MAX_PROBES:
        _recheck_later(sqs, environment, replace(recheck, requested=wanted, probes=recheck.probes + 1), reason)
    elif recheck.former is None:
        outcome.rolled_back(sagemaker, sqs, environment, champion, endpoint, wanted, reason=reason)
    else:
        back = replace(recheck, requested=wanted, reason=reason, allow_retry=False)
        try:
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=recheck.former)
        except ClientError as error:
            _refuse_quota(error, environment, "brought back to what it served before")
            if not says(error, "in-progress"):
                raise
        _recheck_later(sqs, environment, back, f"it goes back to {recheck.former}")


def _refuse_quota(error: ClientError, environment: Environment, verb: str) -> None:
    """Raises EndpointError for a quota of the account: a retry would fail in the same way."""
    if error_code(error) != "ResourceLimitExceeded":
        return
    wanted = f"{environment.instance_count} x {environment.instance_type}"
    raise EndpointError(
        f"the endpoint {environment.endpoint_name} ({wanted}) cannot be {verb}: {error_message(error)}",
        hint="ask AWS for more: https://console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas, in the "
        "endpoint's region. An update needs twice the instances for as long as old and new ones run side by side. "
        "Then: headrace redrive",
    ) from error


def describe(sagemaker: SageMakerClient, name: str) -> DescribeEndpointOutputTypeDef | None:
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if says(error, "could not find"):
            return None
        raise


def _target(endpoint: DescribeEndpointOutputTypeDef) -> str:
    """The configuration that the endpoint will have: during an update, EndpointConfigName is still the old one."""
    pending = endpoint.get("PendingDeploymentSummary")
    return pending["EndpointConfigName"] if pending else endpoint["EndpointConfigName"]


def _recheck_later(sqs: SqsClient, environment: Environment, recheck: Recheck, reason: str) -> None:
    if recheck.count >= MAX_RECHECKS:
        raise EndpointError(
            f"the endpoint {environment.endpoint_name} is still busy at check number {recheck.count + 1}: {reason}",
            hint="see why in the console, then: headrace redrive",
        )
    body = replace(recheck, count=recheck.count + 1).body()
    sqs.send_message(QueueUrl=environment.queue_url, MessageBody=body, DelaySeconds=RECHECK_SECONDS)
    log.info("will look again", endpoint=environment.endpoint_name, reason=reason, seconds=RECHECK_SECONDS)
