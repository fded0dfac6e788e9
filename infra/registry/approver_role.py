"""The role of people who decide on models: it approves and rejects versions, and changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data.data_bucket import DataBucket
from infra.registry.model_registry import ModelRegistry


class ApproverRole(Construct):
    """Apart from the maintainer's role: who changes code and definition does not approve what comes of it.

    An account's administrators decide who may assume which of the two.
    """

    def __init__(self, scope: Construct, id: str, *, data: DataBucket, registries: Sequence[ModelRegistry]) -> None:
        super().__init__(scope, id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.AccountRootPrincipal(),
            description="Approves and rejects versions of models, and reads what a decision needs",
            max_session_duration=Duration.hours(1),
        )
        for registry in registries:
            registry.grant_decide(self.role)
        data.grant_read(self.role, "runs/*")
