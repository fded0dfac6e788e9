"""What the stack tells the function through its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import variables


@dataclass(frozen=True, slots=True)
class Environment:
    """`name` is what people call it; `headrace` is how that command is told of it, say `headrace --env prod`.

    `registry_headrace` is the same of the environment in which its models are approved, which may be another one.
    """

    name: str
    queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    data_bucket: str
    pipeline: str
    model_package_group: str
    endpoint: str
    headrace: str
    registry_headrace: str

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Environment:
        return cls(
            name=variables.text(source, "ENVIRONMENT"),
            queue_url=variables.text(source, "QUEUE_URL"),
            dead_letter_queue_url=variables.text(source, "DEAD_LETTER_QUEUE_URL"),
            topic_arn=variables.text(source, "TOPIC_ARN"),
            data_bucket=variables.text(source, "DATA_BUCKET"),
            pipeline=variables.text(source, "PIPELINE_NAME"),
            model_package_group=variables.text(source, "MODEL_PACKAGE_GROUP_NAME"),
            endpoint=variables.text(source, "ENDPOINT_NAME"),
            headrace=variables.text(source, "COMMAND"),
            registry_headrace=variables.text(source, "REGISTRY_COMMAND"),
        )

    def command(self, words: str) -> str:
        """A headrace command for this environment, to be typed."""
        return f"{self.headrace} {words}"

    def decision(self, words: str) -> str:
        """A headrace command to approve or reject a version, to be typed."""
        return f"{self.registry_headrace} {words}"
