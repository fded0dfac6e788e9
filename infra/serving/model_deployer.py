"""Deployment of approved models: the registry's event, kept in a queue, becomes an endpoint that serves the version."""

from __future__ import annotations

import json
from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from environments.settings import Settings
from infra.data.data_bucket import DataBucket
from infra.data.network import Network
from infra.parts.arns import sagemaker_arn
from infra.parts.grants import allow, allow_to_pass
from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.parts.notices import Notices
from infra.parts.watched_queue import WatchedQueue
from infra.registry.model_registry import ModelRegistry, decisions_on
from infra.registry.source_registry import SourceRegistry

TIMEOUT = Duration.seconds(120)
LOOK_EVERY = Duration.hours(1)


class ModelDeployer(LambdaFunction):
    """It checks again, through its queue, until the endpoint serves the champion; an update takes minutes.

    The first of the registries is the default line's.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        code: FunctionCode,
        decisions: WatchedQueue,
        notices: Notices,
        registries: Sequence[ModelRegistry | SourceRegistry],
        endpoint_role: iam.IRole,
        data: DataBucket | SourceRegistry,
        network: Network | None = None,
    ) -> None:
        """`data` holds the artifacts of the versions."""
        registry = registries[0]
        super().__init__(
            scope,
            id,
            code=code,
            package="deploy_model",
            description="Serves the newest approved model version",
            timeout=TIMEOUT,
            when_it_fails="Its queue keeps what failed for another try, and then in a dead-letter queue with an alarm.",
            environment={
                "ENDPOINT_NAME": settings.name,
                "ENDPOINT_ROLE_ARN": endpoint_role.role_arn,
                "MODEL_PACKAGE_GROUP_NAME": registry.called,
                "MODEL_PACKAGE_GROUP_ARN": registry.group_arn,
                "ENDPOINT_INSTANCE_TYPE": settings.endpoint_instance_type,
                "ENDPOINT_INSTANCE_COUNT": str(settings.endpoint_instance_count),
                "QUEUE_URL": decisions.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": decisions.dead_letters.queue_url,
                "NOTICES_QUEUE_URL": notices.queue.queue.queue_url,
                "TAGS": json.dumps(settings.all_tags, sort_keys=True),
                **({"DATA_BUCKET": data.bucket.bucket_name} if isinstance(data, DataBucket) else {}),
                **({"VPC_CONFIG": json.dumps(network.vpc_config)} if network else {}),
                **_lines(settings),
            },
        )
        events.Rule(
            self,
            "ModelDecided",
            event_bus=registry.event_bus,
            event_pattern=decisions_on(registries),
            targets=[targets.SqsQueue(decisions.queue)],
        )
        # An endpoint that was deleted or moved by hand makes no event for this function (lambda/deploy_model/drift.py).
        events.Rule(
            self,
            "PeriodicLook",
            description="Has the endpoint compared with what the registry wants",
            schedule=events.Schedule.rate(LOOK_EVERY),
            targets=[
                targets.SqsQueue(
                    decisions.queue, message=events.RuleTargetInput.from_object({"headrace": "periodic-look"})
                )
            ],
        )
        allow(self.role, ["sqs:SendMessage"], decisions.arns)
        notices.grant_send(self.role)
        for registry in registries:
            registry.grant_serve(self.role)
        data.grant_check_models(self.role)
        allow_to_pass(self.role, endpoint_role)
        for name in settings.names:
            self._allow_to_deploy(name, network)

    def _allow_to_deploy(self, name: str, network: Network | None) -> None:
        """One endpoint; each version gets its own model and endpoint configuration, named after the endpoint."""
        endpoint = sagemaker_arn(self, "endpoint", name)
        configs = sagemaker_arn(self, "endpoint-config", f"{name}-v*")
        models = sagemaker_arn(self, "model", f"{name}-v*")
        why = "Models and endpoint configurations are made for each version; these are all of this endpoint."
        where = network.only_here(of_containers=False) if network else {}
        allow(self.role, ["sagemaker:CreateModel"], [models], conditions=where, because=why)
        allow(self.role, ["sagemaker:CreateEndpointConfig"], [configs], because=why)
        changes = ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"]
        allow(self.role, changes, [endpoint, configs], because=why)
        looks = ["sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"]
        allow(self.role, looks, [endpoint])
        allow(self.role, ["sagemaker:AddTags"], [endpoint, configs, models], because=why)
        # A configuration that was rolled back says so in a tag; an endpoint has the tags of the settings.
        allow(self.role, ["sagemaker:ListTags"], [configs, endpoint], because=why)
        allow(self.role, ["sagemaker:DeleteTags"], [endpoint])


def _lines(settings: Settings) -> dict[str, str]:
    """The variable that declares further lines; none where there are none."""
    if not settings.lines:
        return {}
    instances = {line: settings.endpoint_instances(line) for line in settings.lines}
    declared = {line: {"type": kind, "count": count} for line, (kind, count) in instances.items()}
    return {"LINES": json.dumps(declared, sort_keys=True)}
