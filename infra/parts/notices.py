"""Notices: the topic on which they are sent to people, and the queue of those to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.parts.arns import sagemaker_arn
from infra.parts.grants import allow
from infra.parts.watched_queue import WatchedQueue

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
MODEL_PACKAGE_CHANGE = "SageMaker Model Package State Change"
ENDPOINT_CHANGE = "SageMaker Endpoint State Change"
ALARMS = "cloudwatch.amazonaws.com"
TIMEOUT = Duration.seconds(60)


class Notices(Construct):
    """Events and alarms go to `queue`; the function that reads it words them and publishes them to `topic`.

    Alarms arrive through a separate topic, `alarms`, so that the same function can word them. The alarm on this queue's
    dead letters goes to people directly: it means that the function does not work.
    """

    def __init__(self, scope: Construct, id: str, *, names: Sequence[str], emails: Sequence[str]) -> None:
        """`names` are the environment's pipelines, model package groups and endpoints, the default line's first."""
        super().__init__(scope, id)
        self._names = list(names)
        self._of_this_account = {"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
        self.key = self._key()
        self._allow_key(ALARMS, "AlarmsPublish")
        self.topic = self._topic("Topic")
        for email in emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self.queue = WatchedQueue(
            self,
            "Queue",
            timeout=TIMEOUT,
            alarm_topic=self.topic,
            what_is_lost="Notices were not sent.",
            read_by="notify",
        )
        self.alarms = self._topic("Alarms")
        self.alarms.add_subscription(subscriptions.SqsSubscription(self.queue.queue, raw_message_delivery=True))
        self._add_rule(
            "EndpointFailed",
            ENDPOINT_CHANGE,
            # In upper snake case, unlike in the API. deploy_model reports deployments and rollbacks, because it knows
            # what was requested: an endpoint that was rolled back is IN_SERVICE.
            {"EndpointName": self._names, "EndpointStatus": ["FAILED", "OUT_OF_SERVICE", "UPDATE_ROLLBACK_FAILED"]},
        )

    def tell_of_runs(self) -> None:
        """Send events of executions that failed or were stopped, and of versions that wait for approval."""
        self._add_rule(
            "ExecutionEnded",
            EXECUTION_CHANGE,
            {
                "currentPipelineExecutionStatus": ["Failed", "Stopped"],
                "pipelineArn": [sagemaker_arn(self, "pipeline", name) for name in self._names],
            },
        )
        self._add_rule(
            "ModelWaits",
            MODEL_PACKAGE_CHANGE,
            {"ModelPackageGroupName": self._names, "ModelApprovalStatus": ["PendingManualApproval"]},
        )

    def grant_send(self, role: iam.Role) -> None:
        """Allow `role` to send notices to the queue."""
        allow(role, ["sqs:SendMessage"], [self.queue.queue.queue_arn])

    def grant_publish(self, role: iam.Role) -> None:
        allow(role, ["sns:Publish"], [self.topic.topic_arn])
        allow(role, ["kms:Decrypt", "kms:GenerateDataKey"], [self.key.key_arn])

    def let_publish(self, service: str, sid: str) -> None:
        """Allow that AWS service to publish to the topic, in its own words."""
        self._allow(service, self.topic)
        self._allow_key(service, sid)

    def raise_alarm(self, alarm: cloudwatch.Alarm) -> None:
        """Send a notice in our words when the alarm is raised."""
        alarm.add_alarm_action(actions.SnsAction(self.alarms))

    def _topic(self, id: str) -> sns.Topic:
        topic = sns.Topic(self, id, master_key=self.key, enforce_ssl=True)
        # A topic without a policy accepts alarms of its account. enforce_ssl adds a policy, so this has to be allowed.
        self._allow(ALARMS, topic)
        return topic

    def _key(self) -> kms.Key:
        """A key for these topics alone, because CloudWatch has to use it: AWS's own SNS key cannot be granted."""
        return kms.Key(
            self,
            "Key",
            description=f"{self._names[0]}: notices",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _allow(self, service: str, topic: sns.Topic) -> None:
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions=self._of_this_account,
            )
        )

    def _allow_key(self, service: str, sid: str) -> None:
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[iam.ServicePrincipal(service)],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key policy: this key
                conditions=self._of_this_account,
            )
        )

    def _add_rule(self, id: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        events.Rule(
            self,
            id,
            event_pattern=events.EventPattern(source=["aws.sagemaker"], detail_type=[detail_type], detail=detail),
            targets=[targets.SqsQueue(self.queue.queue)],
        )
