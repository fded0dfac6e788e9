"""The architecture of an environment that only serves: what its source has approved, from the source's own account."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import IStackSynthesizer
from aws_cdk import aws_iam as iam
from constructs import Construct

from environments.promotion import Consumer
from environments.settings import Settings
from infra.data.sent_markers import SentMarkers
from infra.operations.alarms import Alarms
from infra.operations.dashboard import Dashboard
from infra.operations.monthly_budget import MonthlyBudget
from infra.operations.notifier import Notifier
from infra.parts.images import Images
from infra.parts.lambda_function import lambda_code
from infra.parts.notices import Notices
from infra.parts.watched_queue import WatchedQueue
from infra.registry.source_registry import SourceRegistry
from infra.serving import model_deployer
from infra.serving.endpoint_cleanup import EndpointCleanup
from infra.serving.endpoint_role import EndpointRole
from infra.serving.model_deployer import ModelDeployer
from infra.stacks.base_stack import BaseStack


class ServingStack(BaseStack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        root: Path,
        synthesizer: IStackSynthesizer | None = None,
    ) -> None:
        assert settings.source, "an environment without promotes_from is a HeadraceStack"
        purpose = f"models that {settings.source.environment} has approved, served"
        super().__init__(scope, id, settings=settings, purpose=purpose, synthesizer=synthesizer)
        consumer = Consumer(settings.name, settings.account)
        code = lambda_code(root, log_retention_days=settings.log_retention_days)

        notices = Notices(self, "Notices", settings=settings)
        if settings.monthly_budget:
            MonthlyBudget(
                self, "MonthlyBudget", tag=settings.environment_tag, usd=settings.monthly_budget, notices=notices
            )
        markers = SentMarkers(self, "Told", key=notices.key)
        decisions = WatchedQueue(
            self,
            "Decisions",
            timeout=model_deployer.TIMEOUT,
            alarm_topic=notices.alarms,
            what_is_lost="Approved or rejected models were not taken up.",
            read_by="deploy_model",
        )
        source = SourceRegistry(self, "Source", source=settings.source, consumer=consumer)

        images = Images.of(self, settings)
        endpoint = EndpointRole(self, "EndpointRole", data=source, images=images, endpoints=settings.names)
        deployer = ModelDeployer(
            self,
            "DeployModel",
            settings=settings,
            code=code,
            decisions=decisions,
            notices=notices,
            registries=[source],
            endpoint_role=endpoint.role,
            data=source,
        )
        notifier = Notifier(
            self, "Notify", settings=settings, code=code, notices=notices, markers=markers, registries=[source]
        )
        cleanup = EndpointCleanup(
            self,
            "Cleanup",
            endpoint=settings.name,
            instances=f"{settings.endpoint_instance_count} x {settings.endpoint_instance_type}",
            code=code,
            source=source,
            markers=markers,
            decisions=decisions.queue,
        )
        _name(endpoint.role, consumer.endpoint_role)
        _name(deployer.role, consumer.deployer_role)

        functions = {"deploy_model": deployer, "notify": notifier}
        queues = {"deploy_model": decisions, "notify": notices.queue}
        Alarms(self, "Health", notices=notices, functions=functions, queues=queues)
        dashboard = Dashboard(self, "Dashboard", name=settings.name)
        dashboard.show_endpoint()
        dashboard.show_functions(functions, queues)

        # As in training_stack.py: event sources stop first; then the cleanup function runs, while its roles exist.
        for feed in (decisions.feed(deployer), notices.queue.feed(notifier)):
            feed.node.add_dependency(cleanup.resource)
        cleanup.resource.node.add_dependency(markers, endpoint, source, deployer.function)

        self.put_out(
            {
                "PromotesFrom": settings.source.environment,
                "ModelPackageGroupName": source.called,
                "EndpointName": settings.name,
                "DecisionQueueUrl": decisions.queue.queue_url,
                "DecisionDeadLetterQueueUrl": decisions.dead_letters.queue_url,
                "NoticeQueueUrl": notices.queue.queue.queue_url,
                "NoticeDeadLetterQueueUrl": notices.queue.dead_letters.queue_url,
                "NoticeTopicArn": notices.topic.topic_arn,
                "NoticeBucketName": markers.bucket.bucket_name,
                "DeployModelFunctionName": deployer.function.function_name,
            }
        )


def _name(role: iam.Role, name: str) -> None:
    """By a name that the source's policies know."""
    resource = role.node.default_child
    assert isinstance(resource, iam.CfnRole)
    resource.role_name = name
