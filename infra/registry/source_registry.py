"""What an environment that promotes has of its source: the registry, the models' artifacts and word of decisions."""

from __future__ import annotations

from aws_cdk import Aws, CfnResource, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.parts.grants import allow

ACROSS = "Across accounts the owner's policy has to allow it as well, and says which"


class SourceRegistry(Construct):
    """It stands in for the ModelRegistry and the DataBucket of the environment `name`, which are in its account.

    Decisions arrive on a bus of this environment's own, so that nothing else does: it takes events of one rule of the
    source's account, and the rule on it takes `decisions` on one group.
    """

    def __init__(
        self, scope: Construct, id: str, *, name: str, account: str, region: str, rule_name: str, bus: str
    ) -> None:
        """`rule_name` is the source's rule that forwards decisions, and `bus` the name of the bus that takes them."""
        super().__init__(scope, id)
        self.group_name, self.account, self._region = name, account, region
        self.group_arn = self.called = self._arn("sagemaker", "model-package-group", name)
        self.versions_arn = self._arn("sagemaker", "model-package", f"{name}/*")
        self.event_bus = events.EventBus(
            self, "Decisions", event_bus_name=bus, description=f"Decisions about models of {name}"
        )
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-example-policy-restrict-rule.html
        statement = iam.PolicyStatement(
            principals=[iam.AccountPrincipal(account)],
            actions=["events:PutEvents"],
            resources=[self.event_bus.event_bus_arn],
            conditions={"ArnEquals": {"aws:SourceArn": self._arn("events", "rule", rule_name)}},
        )
        CfnResource(  # CDK's own class for it warns of a property that it sets itself
            self,
            "DecisionsPolicy",
            type="AWS::Events::EventBusPolicy",
            properties={
                "EventBusName": self.event_bus.event_bus_name,
                "StatementId": "SourceTellsOfDecisions",
                "Statement": statement.to_statement_json(),
            },
        )

    def grant_read(self, role: iam.Role) -> None:
        why = "Versions are numbered as they are registered; these are all of the source's group."
        read = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
        allow(role, read, [self.versions_arn], because=why)

    def grant_serve(self, role: iam.Role) -> None:
        """Find the champion and make a model of it, which is an action on the version too if that is another's."""
        self.grant_read(role)
        why = "Versions are numbered as they are registered; these are all of the source's group."
        allow(role, ["sagemaker:CreateModel"], [self.versions_arn], because=why)

    def grant_check_models(self, role: iam.Role) -> None:
        self.grant_read_models(role)

    def grant_read_models(self, role: iam.Role) -> None:
        """Bucket and key are known by their account only: CloudFormation and KMS name them when they are made."""
        allow(
            role,
            ["s3:GetObject"],
            [f"arn:{Aws.PARTITION}:s3:::*/models/*"],
            conditions={"StringEquals": {"aws:ResourceAccount": self.account}},
            because=f"{ACROSS} bucket: that of the source's models.",
        )
        allow(
            role,
            ["kms:Decrypt"],
            [self._arn("kms", "key", "*")],
            conditions={"StringEquals": {"kms:ViaService": f"s3.{self._region}.amazonaws.com"}},
            because=f"{ACROSS} key: that of the bucket of the source's models.",
        )

    def _arn(self, service: str, kind: str, name: str) -> str:
        """Of a thing in the source's account."""
        return Stack.of(self).format_arn(
            service=service, region=self._region, account=self.account, resource=kind, resource_name=name
        )
