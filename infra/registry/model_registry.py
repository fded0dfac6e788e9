"""The model package group: every registered version of the model, its metrics and whether it is approved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.parts.arns import sagemaker_arn
from infra.parts.grants import Grantee, allow
from infra.parts.notices import MODEL_PACKAGE_CHANGE


class Registry(Protocol):
    group_name: str
    account: str


class ModelRegistry(Construct):
    """`called` is what SageMaker's calls name it by; decisions are events on `event_bus`, the account's default one."""

    event_bus = None

    def __init__(self, scope: Construct, id: str, *, name: str, approval_status: str, destroys: bool) -> None:
        """The pipeline registers with `approval_status`. `destroys`: the group is deleted with the stack."""
        super().__init__(scope, id)
        self.group_name = self.called = name
        self.account = Stack.of(self).account
        self._policy = iam.PolicyDocument()
        # Where people decide, no definition can register a model as approved. Everywhere, a model that cannot be
        # compared with the champion waits for a person.
        self._statuses = sorted({"PendingManualApproval", approval_status})
        self.group = sagemaker.CfnModelPackageGroup(
            self,
            "Group",
            model_package_group_name=self.group_name,
            model_package_group_description=f"Models of the pipeline {self.group_name}",
            model_package_group_policy=self._policy,
        )
        # But not the group of a first deployment that failed: its name would be taken in the next one.
        keep = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        self.group.apply_removal_policy(RemovalPolicy.DESTROY if destroys else keep)
        self.group_arn = sagemaker_arn(self, "model-package-group", self.group_name)
        self.versions_arn = sagemaker_arn(self, "model-package", f"{self.group_name}/*")

    def grant_read(self, role: iam.Role) -> None:
        why = "Versions are numbered as they are registered; these are all of this group."
        allow(role, ["sagemaker:ListModelPackages"], [self.versions_arn], because=why)
        allow(role, ["sagemaker:DescribeModelPackage"], [self.versions_arn], because=why)

    def grant_serve(self, role: iam.Role) -> None:
        """Find the champion and make a model of it, for which AWS may ask for the right on the version as well.

        The service authorization reference lists the model alone; the guide on cross-account deployment lists both.
        """
        self.grant_read(role)
        why = "Versions are numbered as they are registered; these are all of this group."
        allow(role, ["sagemaker:CreateModel"], [self.versions_arn], because=why)

    def share(self, account: str, deployer_role: str) -> None:
        """A consumer's account reads the versions, its people too; only its deployer makes models of them.

        Both guides name the actions and resources, and the account as the principal:
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-ram-discover.html
        """
        principal = iam.AccountPrincipal(account)
        read = ["DescribeModelPackage", "DescribeModelPackageGroup", "ListModelPackages"]
        deployer = Stack.of(self).format_arn(
            service="iam", region="", account=account, resource="role", resource_name=deployer_role
        )
        self._policy.add_statements(
            iam.PolicyStatement(
                principals=[principal],
                actions=[f"sagemaker:{action}" for action in read],
                resources=[self.group_arn, self.versions_arn],
            ),
            iam.PolicyStatement(
                principals=[principal],
                actions=["sagemaker:CreateModel"],
                resources=[self.versions_arn],
                # Not as the principal: a policy may not name a role that is not there yet.
                conditions={"StringEquals": {"aws:PrincipalArn": deployer}},
            ),
        )

    def grant_decide(self, role: iam.Role) -> None:
        """Approve and reject; the condition keeps a caller from changing metadata without a decision."""
        self.grant_read(role)
        allow(
            role,
            ["sagemaker:UpdateModelPackage"],
            [self.versions_arn],
            conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}},
            because="Versions are numbered as they are registered; these are all of this group.",
        )

    def grant_delete_versions(self, role: Grantee) -> None:
        why = "Versions are numbered as they are registered; these are all of this group."
        allow(role, ["sagemaker:ListModelPackages"], [self.versions_arn], because=why)
        allow(role, ["sagemaker:DeleteModelPackage"], [self.versions_arn], because=why)

    def grant_register(self, role: iam.Role) -> None:
        """RegisterModel creates the group each time and goes on when there is one, so it needs that right too."""
        why = "The version's number is not known before it is registered."
        allow(role, ["sagemaker:CreateModelPackageGroup", "sagemaker:DescribeModelPackageGroup"], [self.group_arn])
        allow(role, ["sagemaker:AddTags"], [self.group_arn, self.versions_arn], because=why)
        allow(role, ["sagemaker:DescribeModelPackage"], [self.versions_arn], because=why)
        allow(
            role,
            ["sagemaker:CreateModelPackage"],
            # The service authorization reference lists both types, and does not say which of them is asked for.
            [self.group_arn, self.versions_arn],
            conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": self._statuses}},
            because=why,
        )


def decisions_on(registries: Sequence[Registry]) -> events.EventPattern:
    """The events of decisions about versions, in registries of one account.

    A rejection counts too: when the version that serves is rejected, the one before it serves again.
    """
    return events.EventPattern(
        source=["aws.sagemaker"],
        account=[registries[0].account],
        detail_type=[MODEL_PACKAGE_CHANGE],
        detail={
            "ModelPackageGroupName": [registry.group_name for registry in registries],
            "ModelApprovalStatus": ["Approved", "Rejected"],
        },
    )
