"""The queue's messages, typed: EventBridge's events, CloudWatch's alarms, and notices of the other functions.

{"detail-type": "SageMaker ...", "detail": {...}}        EventBridge: an execution, a model version, the endpoint
{"AlarmName": ..., "NewStateValue": "ALARM", ...}        CloudWatch, through the topic that alarms publish to
{"headrace": "notice", "kind": "rolled-back", ...}       a function of Headrace; the fields are those of its class here

Each has a `state`: one notice is sent for one state. SageMaker may send several events for one change, and SQS may
deliver any message twice. The names of the classes are part of the markers of sent notices (publish.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from shared.errors import MalformedEvent

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
MODEL_PACKAGE_CHANGE = "SageMaker Model Package State Change"
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
ENDED_BADLY = frozenset({"Failed", "Stopped"})
WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")  # OutOfService, as DescribeEndpoint has it
MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138, as milliseconds 1973
OUT_OF_ORDER = frozenset({"FAILED", "OUT_OF_SERVICE", "UPDATE_ROLLBACK_FAILED"})  # events use upper snake case


@dataclass(frozen=True, slots=True)
class Message:
    """One notice is sent for one state: by default the values of the fields in `key`."""

    key: ClassVar[tuple[str, ...]] = ()

    @property
    def state(self) -> list[str]:
        return [str(getattr(self, name)) for name in self.key]


@dataclass(frozen=True, slots=True)
class ExecutionEnded(Message):
    """An execution with the status Failed or Stopped."""

    key: ClassVar[tuple[str, ...]] = ("arn", "status")

    arn: str
    status: str


@dataclass(frozen=True, slots=True)
class ModelWaits(Message):
    model_package_arn: str
    version: int

    @property
    def state(self) -> list[str]:
        return [self.model_package_arn, "PendingManualApproval"]


@dataclass(frozen=True, slots=True)
class AlarmRaised(Message):
    key: ClassVar[tuple[str, ...]] = ("name", "changed")

    name: str
    description: str
    reason: str
    metric: str
    changed: str  # ISO 8601


@dataclass(frozen=True, slots=True)
class EndpointFailed(Message):
    """`changed` is the endpoint's LastModifiedTime in milliseconds, here and below: one notice for each change."""

    kind: ClassVar[str] = "endpoint-failed"

    endpoint: str
    configuration: str
    status: str
    reason: str
    changed: int

    @property
    def state(self) -> list[str]:
        return [self.endpoint, "FAILED", str(self.changed)]


@dataclass(frozen=True, slots=True)
class Deployed(Message):
    kind: ClassVar[str] = "deployed"
    key: ClassVar[tuple[str, ...]] = ("endpoint", "configuration", "changed")

    endpoint: str
    configuration: str
    model_package_arn: str
    version: int
    changed: int


@dataclass(frozen=True, slots=True)
class ArtifactRefused(Message):
    """An approved version that is not deployed, because its artifact is not the registered one."""

    kind: ClassVar[str] = "artifact-refused"
    key: ClassVar[tuple[str, ...]] = ("model_package_arn", "reason")

    endpoint: str
    model_package_arn: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class RolledBack(Message):
    """The endpoint was asked to serve `configuration` and has gone back to `serving`."""

    kind: ClassVar[str] = "rolled-back"
    key: ClassVar[tuple[str, ...]] = ("endpoint", "configuration", "changed")

    endpoint: str
    configuration: str
    serving: str
    model_package_arn: str
    version: int
    reason: str
    changed: int


@dataclass(frozen=True, slots=True)
class EndpointDiffers(Message):
    """The endpoint drifted from the registry. The table in lambda/deploy_model/drift.py lists the values of `what`.

    `serving` and `wanted` are configurations, empty where there is none; `version` is the wanted one, 0 for none.
    """

    kind: ClassVar[str] = "endpoint-differs"
    key: ClassVar[tuple[str, ...]] = ("endpoint", "what", "serving", "wanted")

    endpoint: str
    what: str
    status: str
    serving: str
    wanted: str
    version: int
    repaired: bool


@dataclass(frozen=True, slots=True)
class DefinitionRefused(Message):
    """`version` is the refused object's ETag, empty where there is none."""

    kind: ClassVar[str] = "definition-refused"
    key: ClassVar[tuple[str, ...]] = ("definition", "version", "error")

    definition: str
    version: str
    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class OverBudget(Message):
    """Costs in US dollars; each line of the breakdown gives the maximum cost of one step, and how it is computed."""

    kind: ClassVar[str] = "budget"
    key: ClassVar[tuple[str, ...]] = ("data_set", "fingerprint", "estimated_cost", "max_run_cost")

    data_set: str
    fingerprint: str
    estimated_cost: float
    max_run_cost: float
    breakdown: list[str]


@dataclass(frozen=True, slots=True)
class RunLimitReached(Message):
    """The first data set of a day that reaches the limit; `free` is the time from which the limit admits a run.

    `setting` is max_runs_per_day or max_concurrent_runs; `free` is empty for the latter, `day` is a day in UTC.
    """

    kind: ClassVar[str] = "run-limit"
    key: ClassVar[tuple[str, ...]] = ("setting", "limit", "day")

    data_set: str
    setting: str
    limit: int
    free: str
    day: str


@dataclass(frozen=True, slots=True)
class SetAside(Message):
    """A dead-lettered message. `queue` is the dead-letter queue's name, `message_id` the id in the source queue."""

    kind: ClassVar[str] = "set-aside"
    key: ClassVar[tuple[str, ...]] = ("message_id",)

    queue: str
    message_id: str
    message: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Event: TypeAlias = (
    ExecutionEnded
    | ModelWaits
    | AlarmRaised
    | EndpointFailed
    | Deployed
    | ArtifactRefused
    | RolledBack
    | EndpointDiffers
    | DefinitionRefused
    | OverBudget
    | RunLimitReached
    | SetAside
)
OWN = {
    known.kind: known
    for known in (
        EndpointFailed,
        Deployed,
        ArtifactRefused,
        RolledBack,
        EndpointDiffers,
        DefinitionRefused,
        OverBudget,
        RunLimitReached,
        SetAside,
    )
}
TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "bool": bool,
    "float": (int, float),
    "list[str]": list,
}


def parse(
    body: str, *, pipelines: Sequence[str], model_package_groups: Sequence[str], endpoints: Sequence[str]
) -> Event | Ignored:
    """Parse a message. Ignored: the event belongs to another environment, or people need no notice of it."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _malformed(f"is not valid JSON: {error}") from error
    match content:
        case {"headrace": "notice", "kind": str(kind)}:
            return _own(kind, content)
        case {"AlarmName": str(name), "NewStateValue": str(state)}:
            return _alarm(name, state, content)
        case {"detail-type": str(kind), "detail": dict(detail)} if kind == EXECUTION_CHANGE:
            return _execution(detail, pipelines)
        case {"detail-type": str(kind), "detail": dict(detail)} if kind == MODEL_PACKAGE_CHANGE:
            return _model(detail, model_package_groups)
        case {"detail-type": str(kind), "detail": dict(detail)} if kind == ENDPOINT_CHANGE:
            return _endpoint(detail, endpoints)
        case {"detail-type": str(kind)}:
            return Ignored(f"an event of the type {kind!r}, for which no notice is sent")
    raise _malformed("is not an event, an alarm or a notice of Headrace")


def _own(kind: str, content: Mapping[str, Any]) -> Event:
    known = OWN.get(kind)
    if known is None:
        raise _malformed(f"is a notice of the unknown kind {kind!r}; the kinds are {', '.join(OWN)}")
    wrong = [field.name for field in fields(known) if not isinstance(content.get(field.name), TYPES[str(field.type)])]
    if wrong:
        raise _malformed(f"is a notice of the kind {kind!r} without a valid {', '.join(wrong)}")
    return known(**{field.name: content[field.name] for field in fields(known)})


def _alarm(name: str, state: str, content: Mapping[str, Any]) -> Event | Ignored:
    if state != "ALARM":
        return Ignored(f"the alarm {name} is {state}")
    match content:
        case {"StateChangeTime": str(changed), "NewStateReason": str(reason)}:
            metric = content.get("Trigger", {}).get("MetricName") or ""
            return AlarmRaised(name, content.get("AlarmDescription") or "", reason, metric, changed)
    raise _malformed(f"is the alarm {name} without StateChangeTime or NewStateReason")


def _execution(detail: Mapping[str, Any], pipelines: Sequence[str]) -> Event | Ignored:
    match detail:
        case {"pipelineArn": str(of), "pipelineExecutionArn": str(arn), "currentPipelineExecutionStatus": str(status)}:
            if of.rpartition("/")[2] not in pipelines:
                return Ignored(f"{arn} belongs to another pipeline than {' and '.join(pipelines)}")
            if status not in ENDED_BADLY:
                return Ignored(f"{arn} is {status}")
            return ExecutionEnded(arn, status)
    raise _malformed("is an execution's event without its ARN, its pipeline's or its status")


def _model(detail: Mapping[str, Any], groups: Sequence[str]) -> Event | Ignored:
    match detail:
        case {"ModelPackageArn": str(arn)} if detail.get("ModelPackageGroupName") not in groups:
            return Ignored(f"{arn} does not belong to the group {' or '.join(groups)}")
        case {"ModelPackageArn": str(arn), "ModelPackageVersion": int(version), "ModelApprovalStatus": str(status)}:
            if status != "PendingManualApproval":
                return Ignored(f"{arn} is {status}: it does not wait for approval")
            return ModelWaits(arn, version)
    raise _malformed("is a model package's event without its ARN, version or approval status")


def _endpoint(detail: Mapping[str, Any], endpoints: Sequence[str]) -> Event | Ignored:
    match detail:
        case {
            "EndpointName": str(name),
            "EndpointStatus": str(status),
            "LastModifiedTime": int() | float() | str() as modified,
        }:
            changed = _milliseconds(modified)
            if name not in endpoints:
                return Ignored(f"the endpoint {name} is not {' or '.join(endpoints)}")
            status = WORD.sub("_", status).upper()
            if status not in OUT_OF_ORDER:
                return Ignored(f"the endpoint {name} is {status}; deploy_model reports deployments")
            configuration, reason = detail.get("EndpointConfigName", ""), detail.get("FailureReason", "")
            return EndpointFailed(name, configuration, status, reason, changed)
    raise _malformed("is an endpoint's event without its name, status or LastModifiedTime")


def _milliseconds(moment: float | str) -> int:
    """A time in milliseconds. Sample events of AWS have numbers of milliseconds or seconds, and ISO 8601 strings."""
    try:
        seconds = datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)
    except ValueError as error:
        raise _malformed(f"has the LastModifiedTime {moment!r}, which is not a valid time") from error
    return round(seconds if seconds > MILLISECONDS_FROM else seconds * 1000)


def _malformed(what: str) -> MalformedEvent:
    hint = 'send an event of EventBridge or {"headrace": "notice", "kind": …} as notify/messages.py has it'
    return MalformedEvent(f"the message {what}", hint=hint)
