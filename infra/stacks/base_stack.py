"""What every environment's stack has: its place, its tags, its protection, and what serves the approved models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import CfnOutput, Environment, IStackSynthesizer, Stack, Tags, Token
from aws_cdk.aws_lambda import EventSourceMapping
from constructs import Construct

from environments.settings import Settings
from infra.data.data_bucket import DataBucket
from infra.data.network import Network
from infra.operations.alarms import Alarms
from infra.operations.dashboard import Dashboard
from infra.operations.monthly_budget import MonthlyBudget
from infra.operations.notifier import Notifier
from infra.parts.images import Images
from infra.parts.lambda_function import LambdaFunction, lambda_code
from infra.parts.notices import Notices
from infra.parts.private_bucket import PrivateBucket
from infra.parts.roles import SageMakerRole
from infra.parts.watched_queue import WatchedQueue
from infra.registry.model_registry import ModelRegistry
from infra.registry.source_registry import SourceRegistry
from infra.serving import model_deployer
from infra.serving.model_deployer import ModelDeployer
from infra.stacks.role_grants import ServingGrants


class BaseStack(Stack):
    """A subclass calls `serve`, then `watch`. Its own resources come before, between and after."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        root: Path,
        purpose: str,
        synthesizer: IStackSynthesizer | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=Environment(account=settings.account, region=settings.region),
            description=f"Headrace, {settings.environment}: {purpose}",
            synthesizer=synthesizer,
            termination_protection=not settings.destroys,
        )
        for key, value in settings.all_tags.items():
            # CloudFormation takes no reference as a tag of the stack itself.
            Tags.of(self).add(key, value, exclude_resource_types=["aws:cdk:stack"] * Token.is_unresolved(value))
        self.settings = settings
        self.images = Images.of(
            self,
            training=settings.training_image,
            processing=settings.processing_image,
            inference=settings.inference_image,
            where=settings.table,
        )
        self.code = lambda_code(root, log_retention_days=settings.log_retention_days)
        self.notices = Notices(self, "Notices", names=settings.names, emails=settings.notice_emails)
        self.decisions = WatchedQueue(
            self,
            "Decisions",
            timeout=model_deployer.TIMEOUT,
            alarm_topic=self.notices.alarms,
            what_is_lost="Approved or rejected models were not taken up.",
            read_by="deploy_model",
        )
        if settings.monthly_budget:
            MonthlyBudget(
                self, "MonthlyBudget", tag=settings.environment_tag, usd=settings.monthly_budget, notices=self.notices
            )

    def serve(
        self,
        *,
        registries: Sequence[ModelRegistry | SourceRegistry],
        data: DataBucket | SourceRegistry,
        markers: PrivateBucket,
        network: Network | None = None,
    ) -> ServingGrants:
        """`data` holds the artifacts of the versions in `registries`, `markers` those of notices that were sent."""
        settings = self.settings
        # Hosting wants the account-wide form: an ARN of an endpoint or model in it is refused (SageMaker's guide).
        sources = [self.format_arn(service="sagemaker", resource="*")]
        self.endpoint = SageMakerRole(self, "EndpointRole", description="Endpoint and its models", sources=sources)
        self.deployer = ModelDeployer(
            self,
            "DeployModel",
            name=settings.name,
            instances=(settings.endpoint_instance_type, settings.endpoint_instance_count),
            lines={line: settings.endpoint_instances(line) for line in settings.lines},
            tags=settings.all_tags,
            code=self.code,
            decisions=self.decisions,
            notices=self.notices,
            registries=registries,
            endpoint_role=self.endpoint.role,
            data=data,
            network=network,
        )
        self.notifier = Notifier(
            self,
            "Notify",
            label=settings.label,
            command=settings.command,
            registry_command=(settings.source or settings).command,
            name=settings.name,
            lines=list(settings.lines),
            code=self.code,
            notices=self.notices,
            markers=markers,
            registries=registries,
        )
        grants = ServingGrants(names=settings.names, registries=registries, data=data, network=network)
        grants.deployer(self.deployer.role, self.decisions, self.notices, self.endpoint.role)
        grants.endpoint(self.endpoint.role, self.images)
        grants.notifier(self.notifier.role, self.notices, markers)
        return grants

    def watch(
        self,
        functions: Mapping[str, LambdaFunction],
        queues: Mapping[str, WatchedQueue],
        *,
        lines: Sequence[str] = (),
    ) -> list[EventSourceMapping]:
        """Alarms and dashboard for these functions and queues and those that serve. Returns the event sources of the
        latter, which have to stop first when the stack is destroyed."""
        every_function = {**functions, "deploy_model": self.deployer, "notify": self.notifier}
        every_queue = {**queues, "deploy_model": self.decisions, "notify": self.notices.queue}
        Alarms(self, "Health", notices=self.notices, functions=every_function, queues=every_queue)
        dashboard = Dashboard(self, "Dashboard", name=self.settings.name)
        if functions:
            dashboard.show_runs(every_function)
        dashboard.show_endpoint()
        for line in lines:
            dashboard.show_line(line)
        dashboard.show_functions(every_function, every_queue)
        return [self.decisions.feed(self.deployer), self.notices.queue.feed(self.notifier)]

    def put_out(self, values: Mapping[str, str]) -> None:
        """Write these outputs, and those of what serves, for the command line."""
        of_serving = {
            "EndpointName": self.settings.name,
            "DecisionQueueUrl": self.decisions.queue.queue_url,
            "DecisionDeadLetterQueueUrl": self.decisions.dead_letters.queue_url,
            "NoticeQueueUrl": self.notices.queue.queue.queue_url,
            "NoticeDeadLetterQueueUrl": self.notices.queue.dead_letters.queue_url,
            "NoticeTopicArn": self.notices.topic.topic_arn,
            "DeployModelFunctionName": self.deployer.function.function_name,
        }
        for name, value in {**values, **of_serving}.items():
            CfnOutput(self, name, value=value)
