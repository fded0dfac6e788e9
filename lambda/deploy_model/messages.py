"""The queue's messages, typed: EventBridge's events of model packages, and the one that the function sends itself.

{"detail-type": "SageMaker Model Package State Change", "detail": {"ModelPackageGroupName": ..., ...}}
{"headrace": "look-again", "count": 3, "asked": "headrace-prod-v2-0123abcd", "again": false}
    look at the endpoint for the third time: was it asked to serve this configuration, and does it? What follows the
    count may be left out; `again` is whether a configuration that was rolled back may be tried once more, and
    `execution`, which made the model, is for the log
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
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
    execution: str | None = None


@dataclass(frozen=True, slots=True)
class LookAgain:
    count: int = 0
    asked: str | None = None
    again: bool = False
    execution: str | None = None

    def body(self) -> str:
        more = {name: value for name, value in asdict(self).items() if name != "count" and value}
        return json.dumps({"headrace": "look-again", "count": self.count, **more})


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Message: TypeAlias = ModelDecided | LookAgain | Ignored


def parse(body: str, *, group_arn: str) -> Message:
    """Of all versions those of one group in one account are meant. SageMaker has ARNs in small letters at times."""
    versions = group_arn.replace(":model-package-group/", ":model-package/", 1) + "/"
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _malformed(f"is no JSON: {error}") from error
    match content:
        case {"headrace": "look-again", "count": int(count)}:
            return LookAgain(count, content.get("asked"), content.get("again") is True, content.get("execution"))
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
            } as detail,
        }:
            if group != group_arn.rpartition("/")[2]:
                return Ignored(f"{arn} is of the group {group}, not of {group_arn}")
            if arn.lower() != f"{versions}{version}".lower():
                return Ignored(f"{arn} is no version {version} of {group_arn}")
            if status not in DECISIONS:
                return Ignored(f"{arn} is {status}: nothing is decided")
            return ModelDecided(arn, version, status, detail.get("MetadataProperties", {}).get("GeneratedBy"))
    raise _malformed(f"is no {DETAIL_TYPE!r} event with the group, ARN, version and approval status")


def _malformed(what: str) -> MalformedEvent:
    return MalformedEvent(
        f"the message {what}", hint='send EventBridge\'s event or {"headrace": "look-again", "count": 1}'
    )
