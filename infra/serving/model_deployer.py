"""Deployment of approved models: the registry's event, kept in a queue, becomes an endpoint that serves the version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data.data_bucket import DataBucket
from infra.data.network import Network
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
        name: str,
        instances: tuple[str, int],
        lines: Mapping[str, tuple[str, int]],
        tags: Mapping[str, str],
        code: FunctionCode,
        decisions: WatchedQueue,
        notices: Notices,
        registries: Sequence[ModelRegistry | SourceRegistry],
        endpoint_role: iam.IRole,
        data: DataBucket | SourceRegistry,
        network: Network | None = None,
    ) -> None:
        """`data` holds the artifacts of the versions. `instances` are type and number of the endpoint's instances, and
        `lines` has those of the declared lines' endpoints."""
        registry, (kind, count) = registries[0], instances
        super().__init__(
            scope,
            id,
            code=code,
            package="deploy_model",
            description="Serves the newest approved model version",
            timeout=TIMEOUT,
            when_it_fails="Its queue keeps what failed for another try, and then in a dead-letter queue with an alarm.",
            environment={
                "ENDPOINT_NAME": name,
                "ENDPOINT_ROLE_ARN": endpoint_role.role_arn,
                "MODEL_PACKAGE_GROUP_NAME": registry.called,
                "MODEL_PACKAGE_GROUP_ARN": registry.group_arn,
                "ENDPOINT_INSTANCE_TYPE": kind,
                "ENDPOINT_INSTANCE_COUNT": str(count),
                "QUEUE_URL": decisions.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": decisions.dead_letters.queue_url,
                "NOTICES_QUEUE_URL": notices.queue.queue.queue_url,
                "TAGS": json.dumps(tags, sort_keys=True),
                **({"DATA_BUCKET": data.bucket.bucket_name} if isinstance(data, DataBucket) else {}),
                **({"VPC_CONFIG": json.dumps(network.vpc_config)} if network else {}),
                **_lines(lines),
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


def _lines(lines: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """The variable that declares further lines; none where there are none."""
    declared = {line: {"type": kind, "count": count} for line, (kind, count) in lines.items()}
    return {"LINES": json.dumps(declared, sort_keys=True)} if lines else {}
