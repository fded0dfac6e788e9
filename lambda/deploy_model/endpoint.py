"""Bring the endpoint to serve the champion, whatever its status is, and verify the result (decision.py says how).

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

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from deploy_model import outcome, probe
from deploy_model.artifact_check import why_not_served
from deploy_model.decision import Action, decide, decide_after_probe, first_look
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
MAX_RECHECKS = 120  # an hour: an endpoint is created or updated in 5 to 10 minutes, longer with a slow traffic shift


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
    recheck = hint if isinstance(hint, Recheck) else first_look(hint, champion.model_package_arn)
    decision = decide(endpoint, wanted, recheck)
    if decision.action is Action.ASK_FOR_ROLLBACK:
        assert endpoint
        rolled_back = outcome.was_rolled_back(sagemaker, endpoint, wanted)
        decision = decide(endpoint, wanted, recheck, rolled_back=rolled_back)
    if decision.action is Action.PROBE:
        failure = _probe(sagemaker, runtime, environment, champion, wanted, recheck.probes + 1)
        decision = decide_after_probe(failure, wanted, recheck)
    later, why = decision.recheck, decision.why
    match decision.action:
        case Action.CREATE:
            tags = tag_list(environment)
            create = partial(sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=wanted, Tags=tags)
            if not _requested(environment, create, "created", already="already existing"):
                later, why = replace(recheck, was_there=True), "another worker has created it"
        case Action.UPDATE:
            update = partial(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=wanted)
            if not _requested(environment, update, "updated", already="in-progress"):
                later = replace(recheck, former=later.former, was_there=True)
                why = "another worker has begun to update it"
        case Action.GO_BACK:
            # If the function ends right after this, the message is received again and finds the update in progress.
            back = partial(sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=str(recheck.former))
            _requested(environment, back, "brought back to what it served before", already="in-progress")
        case Action.DELETE:  # the only operation that SageMaker allows on a failed endpoint
            sagemaker.delete_endpoint(EndpointName=name)
        case Action.REPORT_DEPLOYED:
            assert endpoint
            outcome.deployed(sqs, environment, champion, endpoint)
        case Action.REPORT_ROLLBACK:
            assert endpoint
            outcome.rolled_back(sagemaker, sqs, environment, champion, endpoint, wanted, reason=later.reason)
        case Action.STAY_DELETED:
            log.warning(
                "the endpoint was deleted after the decision: it stays deleted",
                endpoint=name,
                configuration=wanted,
                hint="the next approval makes it; or now: headrace repair",
            )
        case Action.LEAVE:
            log.warning(
                "the champion was rolled back: the endpoint is left as it is",
                endpoint=name,
                status=status,
                configuration=wanted,
                hint=f"headrace reject {champion.version}; "
                f"or, to try it once more: headrace approve {champion.version}",
            )
        case Action.REFUSE_STATUS:
            raise EndpointError(
                f"the endpoint {name} has the unknown status {status}",
                hint="check it in the console, then: headrace redrive",
            )
        case Action.REFUSE:
            assert endpoint
            raise EndpointError(
                f"the endpoint {name} has the champion's configuration but is {status}: "
                f"{endpoint.get('FailureReason', 'no reason given')}",
                hint=f"aws sagemaker delete-endpoint --endpoint-name {name}; then: headrace repair",
            )
    if why:
        _recheck_later(sqs, environment, later, why)


def _probe(
    sagemaker: SageMakerClient,
    runtime: RuntimeClient,
    environment: Environment,
    champion: Champion,
    wanted: str,
    probes: int,
) -> str | None:
    """The reason why the model does not answer as the version records; None if it does."""
    name = environment.endpoint_name
    package = sagemaker.describe_model_package(ModelPackageName=champion.model_package_arn)
    reason = probe.failure(runtime, name, package.get("CustomerMetadataProperties", {}))
    if reason is not None:
        log.warning("the model fails the probe", endpoint=name, configuration=wanted, reason=reason, probes=probes)
    return reason


def _requested(environment: Environment, request: Callable[[], object], verb: str, *, already: str) -> bool:
    """Whether SageMaker took the request. It does not if another worker made it first, which the message says."""
    try:
        request()
    except ClientError as error:
        _refuse_quota(error, environment, verb)
        if not says(error, already):
            raise
        return False
    return True


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


def _recheck_later(sqs: SqsClient, environment: Environment, recheck: Recheck, reason: str) -> None:
    if recheck.count >= MAX_RECHECKS:
        raise EndpointError(
            f"the endpoint {environment.endpoint_name} is still busy at check number {recheck.count + 1}: {reason}",
            hint="see why in the console, then: headrace redrive",
        )
    body = replace(recheck, count=recheck.count + 1).body()
    sqs.send_message(QueueUrl=environment.queue_url, MessageBody=body, DelaySeconds=RECHECK_SECONDS)
    log.info("will look again", endpoint=environment.endpoint_name, reason=reason, seconds=RECHECK_SECONDS)
