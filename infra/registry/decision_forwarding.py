"""Word of decisions about models, for an environment in another account that serves what is approved here."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.parts.grants import allow
from infra.parts.notices import Notices
from infra.registry.model_registry import ModelRegistry, decisions_on


class DecisionForwarding(Construct):
    """Each approval and rejection goes on to the consumer's bus.

    A queue for what does not arrive would hold nothing of use: the consumer reads the registry, not the event, and
    does so with the next one, or when it is deployed.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        rule_name: str,
        registry: ModelRegistry,
        consumer: str,
        account: str,
        bus: str,
        notices: Notices,
    ) -> None:
        """`consumer` is the name of its stack, and `bus` that of its event bus in `account`.

        The policies of role and bus name the rule.
        """
        super().__init__(scope, id)
        own = Stack.of(self).format_arn(service="events", resource="rule", resource_name=rule_name)
        target = Stack.of(self).format_arn(service="events", account=account, resource="event-bus", resource_name=bus)
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html
        only = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}, "ArnEquals": {"aws:SourceArn": own}}
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("events.amazonaws.com", conditions=only),
            description=f"Forwards decisions to {consumer}",
        )
        allow(self.role, ["events:PutEvents"], [target])
        events.Rule(
            self,
            "Decided",
            rule_name=rule_name,
            event_pattern=decisions_on([registry]),
            targets=[targets.EventBus(events.EventBus.from_event_bus_arn(self, "Bus", target), role=self.role)],
        )
        notices.raise_alarm(
            cloudwatch.Alarm(
                self,
                "NotDelivered",
                alarm_description=f"{consumer} did not receive a decision about a model. Is it deployed in "
                f"{account}? Its next deployment, and the next decision, have it serve what is approved.",
                metric=cloudwatch.Metric(
                    namespace="AWS/Events",
                    metric_name="FailedInvocations",
                    dimensions_map={"RuleName": rule_name},
                    statistic="Sum",
                    period=Duration.minutes(5),
                ),
                threshold=1,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        )
