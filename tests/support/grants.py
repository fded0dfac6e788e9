"""What roles are granted, one thing at a time, and what becomes of a request without it or with more than it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

Kind = Literal["action", "resource", "condition"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One action, one resource or one condition of a statement of a role's policy."""

    role: str
    statement: int
    kind: Kind
    value: str  # a condition as operator and key
    actions: tuple[str, ...]  # of the statement

    def __str__(self) -> str:
        return f"{self.role}: {self.kind} {self.value} of {', '.join(self.actions)}"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the local cloud decided, as it recorded it."""

    role: str
    action: str
    resource: str
    context: EvalContext
    allowed: bool

    @classmethod
    def from_line(cls, line: str) -> Request:
        fields = json.loads(line)
        allowed = fields.pop("decision") == "Allow"
        context = EvalContext(**fields)
        role = context.principal_arn.split("/")[1]
        return cls(role, context.action, context.resource_arn, context, allowed)

    def is_allowed_by(self, document: Document) -> bool:
        return evaluate(self.context, [parse_policy_document(document)]).decision == "Allow"


def grants_of(role: str, document: Document) -> Iterator[Grant]:
    for number, statement in enumerate(document["Statement"]):
        actions = tuple(listed(statement["Action"]))
        for action in actions:
            yield Grant(role, number, "action", action, actions)
        for resource in listed(statement["Resource"]):
            yield Grant(role, number, "resource", resource, actions)
        for operator, keys in statement.get("Condition", {}).items():
            for key in keys:
                yield Grant(role, number, "condition", f"{operator} {key}", actions)


def without(document: Document, grant: Grant) -> Document:
    """The policy that grants everything else."""
    changed = copy.deepcopy(document)
    statement = changed["Statement"][grant.statement]
    name = {"action": "Action", "resource": "Resource"}[grant.kind]
    statement[name] = [value for value in listed(statement[name]) if value != grant.value]
    if not statement[name]:
        del changed["Statement"][grant.statement]
    return changed


def with_more(document: Document, grant: Grant) -> Document:
    """The policy with this one resource a step wider, or without this condition."""
    changed = copy.deepcopy(document)
    statement = changed["Statement"][grant.statement]
    if grant.kind == "resource":
        wide = wider(grant.value)
        statement["Resource"] = [wide if value == grant.value else value for value in listed(statement["Resource"])]
    else:
        operator, key = grant.value.split(" ")
        del statement["Condition"][operator][key]
    return changed


def wider(resource: str) -> str:
    """bucket/datasets/* → bucket/*, bucket → *; pipeline/mine → pipeline/*; a queue → any; a log group → any."""
    if resource == "*":
        return "*"
    if resource.startswith("arn:aws:logs:"):
        return resource.partition(":log-group:")[0] + ":log-group:*"
    head, service_part = resource.rsplit(":", 1) if not resource.endswith(":*") else resource[:-2].rsplit(":", 1)
    if resource.startswith("arn:aws:s3:::"):
        bucket, slash, prefix = service_part.partition("/")
        return f"{head}:{bucket}/*" if slash and prefix != "*" else f"{head}:*"
    kind, slash, _ = service_part.partition("/")
    return f"{head}:{kind}/*" if slash and kind else f"{head}:*"


def listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]


def needed(grant: Grant, document: Document, requests: list[Request]) -> Request | None:
    """A request that was allowed and would not be without the action or resource."""
    return _first(requests, without(document, grant), was_allowed=True)


def confined(grant: Grant, document: Document, requests: list[Request]) -> Request | None:
    """A request that was denied and would not be with a wider resource, or without the condition."""
    return _first(requests, with_more(document, grant), was_allowed=False)


def _first(requests: list[Request], document: Document, *, was_allowed: bool) -> Request | None:
    return next(
        (
            request
            for request in requests
            if request.allowed == was_allowed and request.is_allowed_by(document) != was_allowed
        ),
        None,
    )
