"""The settings that the stack passes to the function in environment variables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from shared.env_vars import NOT_READ, Variables
from shared.lines import DEFAULT, resource_name


@dataclass(frozen=True, slots=True)
class Environment(Variables):
    """`name` is the environment's name; `headrace` is the command line for it, for example `headrace --env prod`.

    `registry_headrace` is the same for the environment in which models are approved, which may be another one.

    The settings are those of one model line, at first the default line; `line` names it, and `lines` are the declared
    ones.
    """

    name: Annotated[str, "ENVIRONMENT"]
    queue_url: str
    dead_letter_queue_url: str
    topic_arn: str
    data_bucket: str
    pipeline: Annotated[str, "PIPELINE_NAME"]
    model_package_group: Annotated[str, "MODEL_PACKAGE_GROUP_NAME"]
    endpoint: Annotated[str, "ENDPOINT_NAME"]
    headrace: Annotated[str, "COMMAND"]
    registry_headrace: Annotated[str, "REGISTRY_COMMAND"]
    lines: tuple[str, ...] = ()
    line: Annotated[str, NOT_READ] = DEFAULT

    def of_line(self, line: str) -> Environment:
        """The settings of another line. Call it on the default line's settings."""
        if not line:
            return self
        return replace(
            self,
            line=line,
            pipeline=resource_name(self.pipeline, line),
            model_package_group=resource_name(self.model_package_group, line),
            endpoint=resource_name(self.endpoint, line),
        )

    @property
    def of_every_line(self) -> list[Environment]:
        """The settings of each line, those of the default line first."""
        return [self.of_line(line) for line in (DEFAULT, *self.lines)]

    @property
    def label(self) -> str:
        """For the subject of a notice."""
        return f"{self.name}, line {self.line}" if self.line else self.name

    @property
    def table(self) -> str:
        """The table of environments.toml with the pipeline's settings."""
        return f"{self.name}.lines.{self.line}.pipeline" if self.line else f"{self.name}.pipeline"

    def command(self, words: str) -> str:
        """A headrace command for this environment."""
        return f"{self.headrace} {words}"

    def line_command(self, words: str) -> str:
        """A headrace command for the line."""
        return self.command(f"{self._line_option}{words}")

    def decision(self, words: str) -> str:
        """A headrace command that approves or rejects a version."""
        return f"{self.registry_headrace} {self._line_option}{words}"

    @property
    def _line_option(self) -> str:
        return f"--line {self.line} " if self.line else ""
