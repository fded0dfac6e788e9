"""The architecture of an environment that only serves: what its source has approved, from the source's own account."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import IStackSynthesizer
from aws_cdk import aws_iam as iam
from constructs import Construct

from environments.promotion import Consumer, announcement_rule
from environments.settings import Settings
from infra.data.sent_markers import SentMarkers
from infra.registry.source_registry import SourceRegistry
from infra.serving.endpoint_cleanup import EndpointCleanup
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
        assert settings.source, "an environment without promotes_from is a TrainingStack"
        purpose = f"models that {settings.source.environment} has approved, served"
        super().__init__(scope, id, settings=settings, root=root, purpose=purpose, synthesizer=synthesizer)
        consumer = Consumer(settings.name, settings.account)
        markers = SentMarkers(self, "Told", key=self.notices.key)
        source = SourceRegistry(
            self,
            "Source",
            name=settings.source.name,
            account=settings.source.account,
            region=settings.source.region,
            rule_name=announcement_rule(settings.source.name, consumer.name),
            bus=consumer.bus,
        )
        grants = self.serve(registries=[source], data=source, markers=markers)
        _name(self.endpoint.role, consumer.endpoint_role)
        _name(self.deployer.role, consumer.deployer_role)
        cleanup = EndpointCleanup(
            self,
            "Cleanup",
            endpoint=settings.name,
            instances=f"{settings.endpoint_instance_count} x {settings.endpoint_instance_type}",
            code=self.code,
            source=source,
            markers=markers,
            decisions=self.decisions.queue,
        )
        grants.cleanup(cleanup.deployment.role, self.decisions, markers)

        # As in training_stack.py: event sources stop first; then the cleanup function runs, while its roles exist.
        for feed in self.watch({}, {}):
            feed.node.add_dependency(cleanup.resource)
        cleanup.resource.node.add_dependency(markers, self.endpoint, source, self.deployer.function)

        self.put_out(
            {
                "PromotesFrom": settings.source.environment,
                "ModelPackageGroupName": source.called,
                "NoticeBucketName": markers.bucket.bucket_name,
            }
        )


def _name(role: iam.Role, name: str) -> None:
    """By a name that the source's policies know."""
    resource = role.node.default_child
    assert isinstance(resource, iam.CfnRole)
    resource.role_name = name
