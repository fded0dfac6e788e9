"""Permissions, one sentence each: who may do what, with what, and why it cannot be said more narrowly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.parts.nag import AWS_SOLUTIONS, NIST, acknowledge

INLINE = (
    "The policy is this role's alone and goes with it. For such one-to-one relations IAM's guide recommends inline "
    "policies: a managed one could be attached to another role by mistake."
)


Grantee: TypeAlias = iam.Role | iam.Policy
"""A role, or a policy with its own life cycle that is attached to a role."""


def allow(
    role: Grantee,
    actions: Sequence[str],
    resources: Sequence[str],
    *,
    conditions: Mapping[str, Any] | None = None,
    because: str | None = None,
) -> None:
    """Resources that hold a `*` need a reason, which also answers cdk-nag's finding for exactly that resource."""
    statement = iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions or {}))
    if isinstance(role, iam.Policy):
        role.add_statements(statement)
    else:
        role.add_to_policy(statement)
    acknowledge_wildcards(role, resources, because)
    acknowledge(role, NIST, "IAMNoInlinePolicy", INLINE)


def acknowledge_wildcards(owner: IConstruct, resources: Sequence[str], because: str | None) -> None:
    for resource in resources:
        shown = _as_shown(Stack.of(owner).resolve(resource))
        if "*" in shown:
            assert because, f"{shown}: say why the wildcard has to be"
            acknowledge(owner, AWS_SOLUTIONS, f"IAM5[Resource::{shown}]", because)


def allow_to_pass(role: iam.Role, passed: iam.IRole) -> None:
    """`role` may name `passed` in calls to SageMaker, and in calls to no other service."""
    conditions = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow(role, ["iam:PassRole"], [passed.role_arn], conditions=conditions)


def _as_shown(resource: Any) -> str:
    """A resolved ARN as cdk-nag shows it: `<Bucket.Arn>/runs/*`."""
    match resource:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(_as_shown, parts))
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case {"Ref": str(name)}:
            return f"<{name}>"
    return str(resource)
