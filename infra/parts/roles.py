"""Roles that people of the account and SageMaker assume. What each may do is in infra/stacks/role_grants.py."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct


class PeopleRole(Construct):
    """Assumed by people of this account; the account decides who may call `sts:AssumeRole` on it."""

    def __init__(self, scope: Construct, id: str, *, description: str) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.AccountRootPrincipal(),
            description=description,
            max_session_duration=Duration.hours(1),
        )


class SageMakerRole(Construct):
    """Assumed by SageMaker, but only on behalf of `sources` of this account: another account cannot use it."""

    def __init__(self, scope: Construct, id: str, *, description: str, sources: Sequence[str]) -> None:
        super().__init__(scope, id)
        conditions = {
            "StringEquals": {"aws:SourceAccount": Stack.of(self).account},
            "ArnLike": {"aws:SourceArn": list(sources)},
        }
        sagemaker = iam.ServicePrincipal("sagemaker.amazonaws.com", conditions=conditions)
        self.role = iam.Role(self, "Role", assumed_by=sagemaker, description=description)
