"""Notices: one topic that tells people what needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.arn import sagemaker_arn
from infra.settings import Settings

EXECUTION_CHANGE = "SageMaker Model Building Pipeline Execution Status Change"
STEP_CHANGE = "SageMaker Model Building Pipeline Execution Step Status Change"
MODEL_PACKAGE_CHANGE = "SageMaker Model Package State Change"

_read = events.EventField.from_path


class Notices(Construct):
    """A failed or stopped execution, a failed step, a model that waits for approval; alarms come here as well."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(scope, id)
        self._settings = settings
        self.topic = sns.Topic(self, "Topic", master_key=self._key(), enforce_ssl=True)
        # A topic without a policy takes alarms of its account; with one, which the rules bring, it has to be said.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": settings.account}},
            )
        )
        for email in settings.notice_emails:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
        self._add_rule(
            "ExecutionEnded",
            EXECUTION_CHANGE,
            {"currentPipelineExecutionStatus": ["Failed", "Stopped"]} | self._our_pipeline(),
            f"Pipeline {settings.name}: an execution ended as {_read('$.detail.currentPipelineExecutionStatus')}."
            f" Execution: {_read('$.detail.pipelineExecutionArn')}",
        )
        self._add_rule(
            "StepFailed",
            STEP_CHANGE,
            {"currentStepStatus": ["Failed"]} | self._our_pipeline(),
            f"Pipeline {settings.name}: step {_read('$.detail.stepName')} failed."
            f" Reason: {_read('$.detail.failureReason')}"
            f" Execution: {_read('$.detail.pipelineExecutionArn')}"
            f" Logs, under pipelines-<the execution's last part>: {self._logs('TrainingJobs')}"
            f" or {self._logs('ProcessingJobs')}",
        )
        self._add_rule(
            "ModelWaits",
            MODEL_PACKAGE_CHANGE,
            {"ModelPackageGroupName": [settings.name], "ModelApprovalStatus": ["PendingManualApproval"]},
            f"Model group {settings.name}: version {_read('$.detail.ModelPackageVersion')} waits for approval."
            f" Look at its metrics and approve or reject it, in Studio's model registry or with the headrace command:"
            f" {_read('$.detail.ModelPackageArn')}",
        )

    def _key(self) -> kms.Key:
        """A key for this topic alone, because services have to use it: AWS's own SNS key cannot be granted to them."""
        key = kms.Key(
            self,
            "Key",
            description=f"{self._settings.name}: notices",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsAndRulesPublish",
                principals=[
                    iam.ServicePrincipal("cloudwatch.amazonaws.com"),
                    iam.ServicePrincipal("events.amazonaws.com"),
                ],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key policy: this key
            )
        )
        return key

    def _our_pipeline(self) -> dict[str, Any]:
        return {"pipelineArn": [sagemaker_arn(self, "pipeline", self._settings.name)]}

    def _add_rule(self, id: str, detail_type: str, detail: Mapping[str, Any], message: str) -> None:
        events.Rule(
            self,
            id,
            event_pattern=events.EventPattern(source=["aws.sagemaker"], detail_type=[detail_type], detail=detail),
            targets=[targets.SnsTopic(self.topic, message=events.RuleTargetInput.from_text(message))],
        )

    def _logs(self, group: str) -> str:
        region = self._settings.region
        return (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
            f"#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252F{group}"
        )
