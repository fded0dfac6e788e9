"""Check the endpoint periodically for drift: a difference from the registry without an approval or rejection.

An approval or rejection brings the endpoint to the champion. Other changes of the endpoint send no event to this
function, so an EventBridge schedule sends {"headrace": "periodic-look"}. A difference counts only if a second check,
15 minutes later, finds the same one: the first check may run between a decision and its message.

    missing         no endpoint, but a champion             reported   people delete it to stop paying for it
    foreign         a configuration that is not ours        reported   somebody changed it, for a reason
    older           another approved version                reported   may be the way out of an incident
    configuration   the champion on other instances         reported   may be the way out of an incident
    unapproved      no version is approved any more         reported   no version can replace it
    withdrawn       a rejected or deleted version           repaired   must not be served; another one is approved
    failed          an endpoint that answers no request     repaired   nobody can want this

A champion that SageMaker rolled back is left as it is: the rollback was reported at the time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from deploy_model import outcome
from deploy_model.artifact_check import why_not_served
from deploy_model.decision import BUSY
from deploy_model.endpoint import describe, serve_champion
from deploy_model.environment import Environment
from deploy_model.messages import PeriodicCheck, Recheck
from deploy_model.model import configuration_name
from shared import log, notice_queue
from shared.aws import RuntimeClient, S3Client, SqsClient, error_code
from shared.champion import Champion, find_approved
from shared.hashing import digest

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribeEndpointOutputTypeDef

SECOND_CHECK_SECONDS = 900
REPAIRED = frozenset({"withdrawn", "failed"})


@dataclass(frozen=True, slots=True)
class Drift:
    """`what` is a key of the table above; `serving` is the endpoint's configuration, empty without an endpoint."""

    what: str
    serving: str
    wanted: str
    champion: Champion | None
    status: str

    @property
    def key(self) -> str:
        return digest([self.what, self.serving, self.wanted])[:16]


def check_periodically(
    sagemaker: SageMakerClient,
    runtime: RuntimeClient,
    s3: S3Client,
    sqs: SqsClient,
    environment: Environment,
    check: PeriodicCheck,
) -> None:
    """Check the endpoint of one line. Report a difference that is found twice, and repair it where the table says so.

    A champion whose artifact is not the registered one is reported at once: a new instance would load it.
    """
    approved = find_approved(sagemaker, environment.model_package_group)
    if approved and (reason := why_not_served(sagemaker, s3, environment, approved[0])):
        outcome.artifact_refused(sqs, environment, approved[0], reason)
        return
    drift = find_drift(sagemaker, environment, approved)
    name = environment.endpoint_name
    if drift is None:
        log.info("endpoint as wanted", endpoint=name)
    elif check.seen != drift.key:
        body = PeriodicCheck(line=environment.line, seen=drift.key).body()
        sqs.send_message(QueueUrl=environment.queue_url, MessageBody=body, DelaySeconds=SECOND_CHECK_SECONDS)
        log.info("endpoint differs", endpoint=name, what=drift.what, seconds=SECOND_CHECK_SECONDS)
    else:
        log.warning("endpoint differs", endpoint=name, what=drift.what, serving=drift.serving, wanted=drift.wanted)
        _send_notice(sqs, environment, drift)
        if drift.what in REPAIRED:
            serve_champion(sagemaker, runtime, s3, sqs, environment, Recheck(line=environment.line))


def find_drift(sagemaker: SageMakerClient, environment: Environment, approved: list[Champion]) -> Drift | None:
    """The difference, if there is one. None also while the endpoint changes, and after a rollback of the champion."""
    champion = approved[0] if approved else None
    wanted = "" if champion is None else configuration_name(environment, champion)
    endpoint = describe(sagemaker, environment.endpoint_name)
    if endpoint is None:
        return None if champion is None else Drift("missing", "", wanted, champion, "Absent")
    status, serving = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status in BUSY:
        return None
    what = _what(environment, approved, status, serving, wanted)
    if what is None or (champion and _was_rolled_back(sagemaker, endpoint, wanted)):
        return None
    return Drift(what, serving, wanted, champion, status)


def _what(environment: Environment, approved: list[Champion], status: str, serving: str, wanted: str) -> str | None:
    if status != "InService":
        return "failed" if approved and (status == "Failed" or serving != wanted) else None
    if serving == wanted:
        return None
    ours = re.fullmatch(rf"{re.escape(environment.endpoint_name)}-v([0-9]+)-[0-9a-f]{{8}}", serving)
    if ours is None:
        return "foreign"
    if not approved:
        return "unapproved"
    version = int(ours[1])
    if version == approved[0].version:
        return "configuration"
    return "older" if any(known.version == version for known in approved) else "withdrawn"


def _was_rolled_back(sagemaker: SageMakerClient, endpoint: DescribeEndpointOutputTypeDef, wanted: str) -> bool:
    try:
        return outcome.was_rolled_back(sagemaker, endpoint, wanted)
    except ClientError as error:
        if error_code(error) not in {"ValidationException", "ResourceNotFound"}:
            raise
        return False  # the configuration was never created, or was deleted


def _send_notice(sqs: SqsClient, environment: Environment, drift: Drift) -> None:
    notice_queue.send(
        sqs,
        environment.notices_queue_url,
        "endpoint-differs",
        endpoint=environment.endpoint_name,
        what=drift.what,
        status=drift.status,
        serving=drift.serving,
        wanted=drift.wanted,
        version=0 if drift.champion is None else drift.champion.version,
        repaired=drift.what in REPAIRED,
    )
