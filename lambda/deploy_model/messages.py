"""The queue's messages, typed: EventBridge's events of model packages, and the one that the function sends itself.

{"detail-type": "SageMaker Model Package State Change", "detail": {"ModelPackageGroupName": ..., ...}}
{"headrace": "look-again", "count": 3}      the endpoint was busy: look at it once more, for the third time
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from refusals import MalformedEvent

DETAIL_TYPE = "SageMaker Model Package State Change"
DECISIONS = frozenset({"Approved", "Rejected"})  # either can change which version is the champion


@dataclass(frozen=True, slots=True)
class ModelDecided:
    """A person (or a rule) has approved or rejected a version."""

    model_package_arn: str
    version: int
    approval_status: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    count: int


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Message: TypeAlias = ModelDecided | LookAgain | Ignored


def parse(body: str, *, model_package_group: str) -> Message:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _malformed(f"is no JSON: {error}") from error
    match content:
        case {"headrace": "look-again", "count": int(count)}:
            return LookAgain(count)
        case {"detail-type": str(kind)} if kind != DETAIL_TYPE:
            return Ignored(f"an event of the kind {kind!r}, not {DETAIL_TYPE!r}")
        case {"detail-type": _, "detail": {"ModelPackageArn": str(arn)} as detail} if (
            "ModelPackageGroupName" not in detail
        ):
            return Ignored(f"{arn} is no version of a model package group")
        case {
            "detail-type": _,
            "detail": {
                "ModelPackageGroupName": str(group),
                "ModelPackageArn": str(arn),
                "ModelPackageVersion": int(version),
                "ModelApprovalStatus": str(status),
            },
        }:
            if group != model_package_group:
                return Ignored(f"{arn} is of the group {group}, not {model_package_group}")
            if status not in DECISIONS:
                return Ignored(f"{arn} is {status}: nothing is decided")
            return ModelDecided(arn, version, status)
    raise _malformed(f"is no {DETAIL_TYPE!r} event with the group, ARN, version and approval status")


def _malformed(what: str) -> MalformedEvent:
    return MalformedEvent(
        f"the message {what}", hint='send EventBridge\'s event or {"headrace": "look-again", "count": 1}'
    )
