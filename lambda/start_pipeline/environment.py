"""What the stack tells the function through its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import variables
from start_pipeline.budget import Budget

LONGEST_DELAY = 900  # seconds; the most that SQS takes as DelaySeconds


@dataclass(frozen=True, slots=True)
class Environment:
    data_bucket: str
    pipeline_name: str
    pipeline_role_arn: str
    queue_url: str
    dead_letter_queue_url: str
    notices_queue_url: str
    quiet_seconds: int
    bindings: Mapping[str, str | list[str]]
    parameter_defaults: Mapping[str, str]
    pipeline_tags: Mapping[str, str]
    budget: Budget | None

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Environment:
        return cls(
            data_bucket=variables.text(source, "DATA_BUCKET"),
            pipeline_name=variables.text(source, "PIPELINE_NAME"),
            pipeline_role_arn=variables.text(source, "PIPELINE_ROLE_ARN"),
            queue_url=variables.text(source, "QUEUE_URL"),
            dead_letter_queue_url=variables.text(source, "DEAD_LETTER_QUEUE_URL"),
            notices_queue_url=variables.text(source, "NOTICES_QUEUE_URL"),
            quiet_seconds=variables.whole_number(source, "QUIET_SECONDS", low=0, high=LONGEST_DELAY),
            bindings=variables.texts_and_lists(source, "BINDINGS"),
            parameter_defaults=variables.named_texts(source, "PARAMETER_DEFAULTS", default="{}"),
            pipeline_tags=variables.named_texts(source, "PIPELINE_TAGS", default="{}"),
            budget=Budget.from_variables(source),
        )

    @property
    def definition_key(self) -> str:
        return f"pipelines/{self.pipeline_name}.json"

    @property
    def refusal_key(self) -> str:
        return refusal_key_of(self.definition_key)


def refusal_key_of(definition_key: str) -> str:
    """Where the reason is written for which a definition was refused: beside it."""
    return f"{definition_key.removesuffix('.json')}.error.json"
