"""What is done about an endpoint, by what was found and which message arrived; no call of AWS is needed to know it."""

from __future__ import annotations

import ast
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from deploy_model import decision
from deploy_model.decision import Action, decide, decide_after_probe, first_look
from deploy_model.messages import ModelDecided, Recheck

NEW, OLD, THIRD = "headrace-prod-v2-0123abcd", "headrace-prod-v1-4567cdef", "made-by-hand"
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/headrace-prod/2"
STATUSES = [
    *("Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"),
    *("InService", "OutOfService", "UpdateRollbackFailed", "Failed", "Unheard-of"),
]
APPROVED = Recheck(allow_retry=True, execution="run-7")
HOURLY = Recheck()
REQUESTED = Recheck(count=3, requested=NEW, former=OLD, was_there=True, execution="run-7")


def endpoint(status: str, serving: str, pending: str | None = None) -> dict[str, Any]:
    summary = {"PendingDeploymentSummary": {"EndpointConfigName": pending}} if pending else {}
    return {"EndpointStatus": status, "EndpointConfigName": serving, **summary}


@pytest.mark.parametrize(("found", "message", "action", "next_message"), [
    # A first deployment.
    (None, APPROVED, "CREATE", {"asked": NEW, "execution": "run-7", "was_there": True}),
    (endpoint("Creating", NEW), REQUESTED, "WAIT",
     {"count": 3, "asked": NEW, "former": OLD, "was_there": True, "execution": "run-7"}),
    (endpoint("InService", NEW), REQUESTED, "PROBE", None),
    (endpoint("Failed", NEW), REQUESTED, "REPORT_ROLLBACK", None),
    # Another version: the endpoint serves the former one, and may go back to it.
    (endpoint("InService", OLD), APPROVED, "UPDATE",
     {"asked": NEW, "former": OLD, "execution": "run-7", "was_there": True}),
    (endpoint("OutOfService", OLD), APPROVED, "UPDATE", {"asked": NEW, "execution": "run-7", "was_there": True}),
    (endpoint("Updating", OLD, NEW), HOURLY, "WAIT", {"asked": NEW, "was_there": True}),
    (endpoint("RollingBack", OLD), REQUESTED, "WAIT",
     {"count": 3, "asked": NEW, "former": OLD, "was_there": True, "execution": "run-7"}),
    (endpoint("InService", OLD), REQUESTED, "REPORT_ROLLBACK", None),
    # Another worker, or a person, is changing it to something else: this function has requested nothing.
    (endpoint("Updating", OLD, THIRD), HOURLY, "WAIT", {"was_there": True}),
    (endpoint("SystemUpdating", NEW), HOURLY, "WAIT", {"was_there": True}),
    # It is being deleted: afterwards it is made, or stays deleted if it was there after the decision.
    (endpoint("Deleting", OLD), APPROVED, "WAIT", {"again": True, "execution": "run-7"}),
    (None, REQUESTED, "STAY_DELETED", None),
    # A failed endpoint cannot be updated.
    (endpoint("Failed", OLD), APPROVED, "DELETE", {"again": True, "execution": "run-7"}),
    # Nothing has happened, or an approval of what is served.
    (endpoint("InService", NEW), HOURLY, "NOTHING", None),
    (endpoint("InService", NEW), APPROVED, "PROBE", None),
    (endpoint("OutOfService", NEW), APPROVED, "REFUSE", None),
    (endpoint("UpdateRollbackFailed", NEW), APPROVED, "REFUSE", None),
    (endpoint("Unheard-of", OLD), APPROVED, "REFUSE_STATUS", None),
    # Without a new approval it matters whether the version was rolled back before.
    (endpoint("InService", OLD), HOURLY, "ASK_FOR_ROLLBACK", None),
    (endpoint("Failed", OLD), HOURLY, "ASK_FOR_ROLLBACK", None),
])  # fmt: skip
def test_what_is_done(
    found: dict[str, Any] | None, message: Recheck, action: str, next_message: dict[str, Any] | None
) -> None:
    decided = decide(found, NEW, message)
    assert decided.action.name == action
    if next_message is None:
        assert decided.why == "", "the endpoint is not looked at again"
    else:
        assert decided.why
        assert json.loads(decided.recheck.body()) == {"headrace": "look-again", "count": 0, **next_message}


@pytest.mark.parametrize(("rolled_back", "status", "action"), [
    (True, "InService", "LEAVE"),
    (True, "Failed", "LEAVE"),
    (False, "InService", "UPDATE"),
    (False, "Failed", "DELETE"),
])  # fmt: skip
def test_a_version_that_was_rolled_back_waits_for_another_approval(rolled_back: bool, status: str, action: str) -> None:
    assert decide(endpoint(status, OLD), NEW, HOURLY, rolled_back=rolled_back).action.name == action
    approved = decide(endpoint(status, OLD), NEW, APPROVED)
    assert approved.action.name == {"InService": "UPDATE", "Failed": "DELETE"}[status]


@pytest.mark.parametrize(("probes", "former", "action"), [
    (0, OLD, "WAIT"),
    (2, None, "WAIT"),
    (3, OLD, "GO_BACK"),
    (3, None, "REPORT_ROLLBACK"),
])  # fmt: skip
def test_a_model_that_fails_its_probe_has_four_tries(probes: int, former: str | None, action: str) -> None:
    message = Recheck(count=9, requested=NEW, former=former, probes=probes, allow_retry=True, was_there=True)
    decided = decide_after_probe("it answers 500", NEW, message)
    assert decided.action.name == action
    assert decided.recheck.requested == NEW
    if action == "WAIT":
        assert (decided.recheck.probes, decided.why) == (probes + 1, "it answers 500")
    else:
        assert (decided.recheck.reason, decided.recheck.allow_retry) == ("it answers 500", False)
        assert bool(decided.why) == (action == "GO_BACK")
    # Once the endpoint has gone back, the message that follows reports it.
    if action == "GO_BACK":
        assert decide(endpoint("InService", OLD), NEW, decided.recheck).action is Action.REPORT_ROLLBACK


def test_a_model_that_answers_is_deployed() -> None:
    assert decide_after_probe(None, NEW, REQUESTED).action is Action.REPORT_DEPLOYED


@pytest.mark.parametrize(("status", "arn", "again"), [
    ("Approved", ARN, True),
    ("Approved", ARN.replace("/2", "/1"), False),
    ("Rejected", ARN, False),
])  # fmt: skip
def test_only_an_approval_of_the_champion_allows_another_attempt(status: str, arn: str, again: bool) -> None:
    look = first_look(ModelDecided(arn, 2, status, "run-7", "pets"), ARN)
    assert look == Recheck(allow_retry=again, execution="run-7", line="pets")


MESSAGES = [
    Recheck(requested=requested, allow_retry=again, former=former, probes=probes, was_there=was_there, line="pets")
    for requested, again, former, probes, was_there in product(
        (None, NEW, THIRD), (False, True), (None, OLD), (0, 3), (False, True)
    )
]
FOUND = [None, *(endpoint(*made) for made in product(STATUSES, (NEW, OLD), (None, NEW, THIRD)))]


@pytest.mark.parametrize("found", FOUND, ids=str)
def test_whatever_is_found_and_arrives(found: dict[str, Any] | None) -> None:
    """What SageMaker refuses is never requested, and what is looked at again keeps its line."""
    status = found["EndpointStatus"] if found else None
    for message, rolled_back in product(MESSAGES, (False, True)):
        decided = decide(found, NEW, message, rolled_back=rolled_back)
        action = decided.action
        assert action is not Action.ASK_FOR_ROLLBACK, "it is known"
        assert decided.recheck.line == "pets"
        if found is None:  # only a decision makes an endpoint
            assert action is (Action.STAY_DELETED if message.was_there else Action.CREATE)
            continue
        assert action not in (Action.CREATE, Action.STAY_DELETED)
        if action is Action.UPDATE:  # UpdateEndpoint takes these states, and another configuration
            assert status in ("InService", "OutOfService", "UpdateRollbackFailed")
            assert found["EndpointConfigName"] != NEW
            assert decided.recheck.former in (None, found["EndpointConfigName"])
        if action is Action.DELETE:
            assert status == "Failed"
            assert decide(None, NEW, decided.recheck).action is Action.CREATE
        if action in (Action.UPDATE, Action.DELETE):
            assert message.allow_retry or not rolled_back
            assert message.requested != NEW, "the outcome of a request is reported before another one is made"
        if action is Action.PROBE:
            assert (status, found["EndpointConfigName"]) == ("InService", NEW)
        if status in ("Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"):
            assert action is Action.WAIT


def test_the_decision_needs_nothing_of_aws() -> None:
    tree = ast.parse(Path(decision.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "dataclasses", "deploy_model.messages", "enum", "typing"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
