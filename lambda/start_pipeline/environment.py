"""The settings that the stack passes to the function in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from data_sets import kinds
from shared.env_vars import NOT_READ, Variables
from shared.lines import DEFAULT, line_of_data_set, resource_name
from start_pipeline.runs.budget import Budget
from start_pipeline.runs.run_limits import RunLimits

MAX_DELAY = 900  # seconds; SQS's limit on DelaySeconds


@dataclass(frozen=True, slots=True)
class Environment(Variables):
    """The settings of one model line, at first of the default line; `line` names it, `lines` are the declared ones.

    `lines` maps the name of each declared line to the patterns of its data sets' names.
    """

    data_bucket: str
    pipeline_name: str
    pipeline_role_arn: str
    queue_url: str
    dead_letter_queue_url: str
    notices_queue_url: str
    quiet_seconds: Annotated[int, range(MAX_DELAY + 1)]
    bindings: Mapping[str, str | list[str]]
    parameter_defaults: Mapping[str, str] = field(default_factory=dict)
    pipeline_tags: Mapping[str, str] = field(default_factory=dict)
    budget: Budget | None = None
    limits: RunLimits = field(default_factory=RunLimits)
    image_kinds: frozenset[str] = kinds.TAKEN
    lines: Mapping[str, list[str]] = field(default_factory=dict)
    line: Annotated[str, NOT_READ] = DEFAULT

    def of_line(self, line: str) -> Environment:
        """The settings of another line. Call it on the default line's settings."""
        if not line:
            return self
        name = resource_name(self.pipeline_name, line)
        own = {"PipelineName": name, "ModelPackageGroupName": name}
        return replace(self, line=line, pipeline_name=name, bindings={**self.bindings, **own})

    def of_data_set(self, data_set: str) -> Environment:
        """The settings of the data set's line. Raises LineError if the data set belongs to several lines."""
        return self.of_line(line_of_data_set(data_set, self.lines))

    @property
    def of_every_line(self) -> list[Environment]:
        """The settings of each line, those of the default line first."""
        return [self.of_line(line) for line in (DEFAULT, *sorted(self.lines))]

    @property
    def definition_keys(self) -> list[str]:
        return [environment.definition_key for environment in self.of_every_line]

    @property
    def definition_key(self) -> str:
        return f"pipelines/{self.pipeline_name}.json"

    @property
    def refusal_key(self) -> str:
        return refusal_key_of(self.definition_key)


def refusal_key_of(definition_key: str) -> str:
    """The key, beside the definition, of the object with the reason of its refusal."""
    return f"{definition_key.removesuffix('.json')}.error.json"
