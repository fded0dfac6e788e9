"""The queue's messages, typed: EventBridge's events of model packages, and the messages that Headrace sends.

{"detail-type": "SageMaker Model Package State Change", "detail": {"ModelPackageGroupName": ..., ...}}
{"headrace": "look-again", "count": 3, "asked": "headrace-prod-v2-0123abcd", "again": false}
    check the endpoint for the third time. All members but the count are optional. `asked` is the configuration that
    the function requested. `again` allows another attempt with a configuration that was rolled back. `former` is the
    configuration that the endpoint served before. `probes` counts the failed probes of the model. `reason` is the
    reason of a rollback. `was_there`: the endpoint existed after the decision, so a user has deleted it if it is gone.
    `execution`, which produced the model, is for the log. `line` is the model line of the endpoint, by default the
    default line.
{"headrace": "periodic-look"}
    check the endpoint of each line for drift. `seen` and `line` name the difference that was found for one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypeAlias

from shared.errors import MalformedEvent
from shared.lines import DEFAULT

WIRE_NAMES = {"requested": "asked", "allow_retry": "again"}  # of a Recheck, so that messages in the queue are read
DETAIL_TYPE = "SageMaker Model Package State Change"
DECISIONS = frozenset({"Approved", "Rejected"})  # both can change which version is the champion


@dataclass(frozen=True, slots=True)
class ModelDecided:
    """A person (or a rule) has approved or rejected a version."""

    model_package_arn: str
    version: int
    approval_status: str
    execution: str | None = None
    line: str = DEFAULT


@dataclass(frozen=True, slots=True)
class Recheck:
    """A check of an endpoint. The message has "asked" for `requested` and "again" for `allow_retry`."""

    count: int = 0
    requested: str | None = None
    allow_retry: bool = False
    execution: str | None = None
    line: str = DEFAULT
    former: str | None = None
    probes: int = 0
    reason: str | None = None
    was_there: bool = False

    def body(self) -> str:
        more = {WIRE_NAMES.get(name, name): value for name, value in asdict(self).items() if name != "count" and value}
        return json.dumps({"headrace": "look-again", "count": self.count, **more})


@dataclass(frozen=True, slots=True)
class PeriodicCheck:
    """A check of one line, or of every line if `line` is None. `seen` is the key of the difference found before."""

    line: str | None = None
    seen: str | None = None

    def body(self) -> str:
        return json.dumps({"headrace": "periodic-look", "line": self.line, "seen": self.seen})


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Message: TypeAlias = ModelDecided | Recheck | PeriodicCheck | Ignored


def parse(body: str, *, group_arns: Mapping[str, str]) -> Message:
    """Only versions of the lines' groups count; `group_arns` maps a line to its group's ARN."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _malformed(f"is not valid JSON: {error}") from error
    match content:
        case {"headrace": "look-again", "count": int(count)}:
            line = content.get("line", DEFAULT)
            if line not in group_arns:
                return Ignored(f"a check of the endpoint of the line {line!r}, which is not declared (any more)")
            known = {name: content[name] for name in ("execution", "former", "reason") if name in content}
            probes = content.get("probes")
            return Recheck(
                count, requested=content.get("asked"), allow_retry=content.get("again") is True, line=line,
                probes=probes if isinstance(probes, int) else 0, was_there=content.get("was_there") is True, **known,
            )  # fmt: skip
        case {"headrace": "periodic-look"}:
            line = content.get("line")
            if line is not None and line not in group_arns:
                return Ignored(f"a check of the endpoint of the line {line!r}, which is not declared (any more)")
            return PeriodicCheck(line, content.get("seen"))
        case {"detail-type": str(kind)} if kind != DETAIL_TYPE:
            return Ignored(f"an event of the type {kind!r}, not {DETAIL_TYPE!r}")
        case {"detail-type": _, "detail": {"ModelPackageArn": str(arn)} as detail} if (
            "ModelPackageGroupName" not in detail
        ):
            return Ignored(f"{arn} is not a version of a model package group")
        case {
            "detail-type": _,
            "detail": {
                "ModelPackageGroupName": str(group),
                "ModelPackageArn": str(arn),
                "ModelPackageVersion": int(version),
                "ModelApprovalStatus": str(status),
            } as detail,
        }:
            named = {group_arn.rpartition("/")[2]: line for line, group_arn in group_arns.items()}
            if group not in named:
                return Ignored(f"{arn} belongs to the group {group}, not to {' or '.join(group_arns.values())}")
            group_arn = group_arns[named[group]]
            versions = group_arn.replace(":model-package-group/", ":model-package/", 1)
            if arn.lower() != f"{versions}/{version}".lower():  # SageMaker writes ARNs in lower case at times
                return Ignored(f"{arn} is not version {version} of {group_arn}")
            if status not in DECISIONS:
                return Ignored(f"{arn} is {status}, neither approved nor rejected")
            execution = detail.get("MetadataProperties", {}).get("GeneratedBy")
            return ModelDecided(arn, version, status, execution, named[group])
    raise _malformed(f"is not a {DETAIL_TYPE!r} event with the group, ARN, version and approval status")


def _malformed(what: str) -> MalformedEvent:
    return MalformedEvent(
        f"the message {what}", hint='send EventBridge\'s event or {"headrace": "look-again", "count": 1}'
    )
