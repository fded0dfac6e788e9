"""The function that words notices, and sends each once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from constructs import Construct

from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.parts.notices import TIMEOUT, Notices
from infra.parts.private_bucket import PrivateBucket
from infra.registry.model_registry import ModelRegistry
from infra.registry.source_registry import SourceRegistry


class Notifier(LambdaFunction):
    """It writes only its markers, into the bucket `markers`. The first registry is that of the default line.

    `command` and `registry_command` are the `headrace` commands for this environment and for that of the registry.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        label: str,
        command: str,
        registry_command: str,
        name: str,
        lines: Sequence[str],
        code: FunctionCode,
        notices: Notices,
        markers: PrivateBucket,
        registries: Sequence[ModelRegistry | SourceRegistry],
    ) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="notify",
            description="Words notices and sends each once",
            timeout=TIMEOUT,
            when_it_fails="Its queue keeps what failed for another try, and then in a dead-letter queue with an alarm.",
            environment={
                "ENVIRONMENT": label,
                "COMMAND": command,
                "REGISTRY_COMMAND": registry_command,
                "QUEUE_URL": notices.queue.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": notices.queue.dead_letters.queue_url,
                "TOPIC_ARN": notices.topic.topic_arn,
                "DATA_BUCKET": markers.bucket.bucket_name,
                "PIPELINE_NAME": name,
                "MODEL_PACKAGE_GROUP_NAME": registries[0].group_name,
                "ENDPOINT_NAME": name,
                **({"LINES": json.dumps(sorted(lines))} if lines else {}),
            },
        )
