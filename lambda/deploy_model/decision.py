"""What is to be done about an endpoint: pure functions of what was found, of what is wanted, and of the message.

the endpoint                             the message                          what is done
Absent                                   it was there after the decision      STAY_DELETED
                                         else                                 CREATE
busy                                     any                                  WAIT
InService, with the wanted one           requested it, or is a new approval   PROBE
                                         else                                 NOTHING
not so                                   requested it                         REPORT_ROLLBACK
and the wanted one was rolled back       is not a new approval                LEAVE
Failed                                   any                                  DELETE; the next look creates it
with another configuration               any                                  UPDATE
OutOfService or UpdateRollbackFailed, with the wanted one                     REFUSE
of an unknown status                                                          REFUSE_STATUS
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from deploy_model.messages import ModelDecided, Recheck

MAX_PROBES = 4  # failed probes, 30 s apart: a model of 1 GB loads in less than two minutes
ON_ITS_WAY = frozenset({"Creating", "Updating", "RollingBack"})
BUSY = ON_ITS_WAY | {"SystemUpdating", "Deleting"}
UPDATABLE = frozenset({"InService", "OutOfService", "UpdateRollbackFailed"})


class Action(Enum):
    ASK_FOR_ROLLBACK = auto()
    CREATE = auto()
    DELETE = auto()
    GO_BACK = auto()
    LEAVE = auto()
    NOTHING = auto()
    PROBE = auto()
    REFUSE = auto()
    REFUSE_STATUS = auto()
    REPORT_DEPLOYED = auto()
    REPORT_ROLLBACK = auto()
    STAY_DELETED = auto()
    UPDATE = auto()
    WAIT = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do. If the endpoint is to be looked at again, `why` says so, and `recheck` is the message."""

    action: Action
    recheck: Recheck
    why: str = ""


def first_look(decided: ModelDecided, champion_arn: str) -> Recheck:
    """An approval of the champion allows another attempt, even if the champion was rolled back before."""
    approved = decided.approval_status == "Approved" and decided.model_package_arn == champion_arn
    return Recheck(allow_retry=approved, execution=decided.execution, line=decided.line)


def decide(
    endpoint: Mapping[str, Any] | None, wanted: str, recheck: Recheck, *, rolled_back: bool | None = None
) -> Decision:
    """`endpoint` is SageMaker's description, `wanted` the configuration that serves the champion.

    `rolled_back`: the wanted configuration was rolled back before. Whether it was is asked for where it matters.
    """
    if endpoint is None:
        if recheck.was_there:
            return Decision(Action.STAY_DELETED, recheck)
        return Decision(Action.CREATE, _requested(wanted, recheck, former=None), "it is being created")
    status, serving = endpoint["EndpointStatus"], endpoint["EndpointConfigName"]
    if status in BUSY:
        requested = recheck.requested == wanted or (status in ON_ITS_WAY and _target(endpoint) == wanted)
        was_there = recheck.was_there or status != "Deleting"
        later = replace(recheck, requested=wanted if requested else None, was_there=was_there)
        return Decision(Action.WAIT, later, f"it is {status}")
    if status != "Failed" and status not in UPDATABLE:
        return Decision(Action.REFUSE_STATUS, recheck)
    if status == "InService" and serving == wanted:
        asked = wanted == recheck.requested or recheck.allow_retry
        return Decision(Action.PROBE if asked else Action.NOTHING, recheck)
    if wanted == recheck.requested:
        return Decision(Action.REPORT_ROLLBACK, recheck)
    if not recheck.allow_retry and rolled_back is not False:
        return Decision(Action.LEAVE if rolled_back else Action.ASK_FOR_ROLLBACK, recheck)
    if status == "Failed":
        return Decision(Action.DELETE, replace(recheck, was_there=False), "a failed endpoint is being deleted")
    if serving != wanted:
        former = serving if status == "InService" else None
        return Decision(Action.UPDATE, _requested(wanted, recheck, former=former), "it is being updated")
    return Decision(Action.REFUSE, recheck)


def decide_after_probe(failure: str | None, wanted: str, recheck: Recheck) -> Decision:
    """What follows from the answer of the model: `failure` is the reason why it does not answer as recorded."""
    if failure is None:
        return Decision(Action.REPORT_DEPLOYED, recheck)
    if recheck.probes + 1 < MAX_PROBES:
        return Decision(Action.WAIT, replace(recheck, requested=wanted, probes=recheck.probes + 1), failure)
    back = replace(recheck, requested=wanted, reason=failure, allow_retry=False)
    if recheck.former is None:
        return Decision(Action.REPORT_ROLLBACK, back)
    return Decision(Action.GO_BACK, back, f"it goes back to {recheck.former}")


def _requested(wanted: str, recheck: Recheck, *, former: str | None) -> Recheck:
    """The first look after a request for the configuration."""
    return Recheck(requested=wanted, execution=recheck.execution, line=recheck.line, former=former, was_there=True)


def _target(endpoint: Mapping[str, Any]) -> str:
    """The configuration that the endpoint will have: during an update, EndpointConfigName is still the old one."""
    pending: Mapping[str, str] = endpoint.get("PendingDeploymentSummary") or endpoint
    return pending["EndpointConfigName"]
