"""The settings that the stack passes to the function in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared import env_vars
from shared.lines import DEFAULT, resource_name


@dataclass(frozen=True, slots=True)
class Environment:
    """`name` is the environment's name; `headrace` is the command line for it, for example `headrace --env prod`.

    `registry_headrace` is the same for the environment in which models are approved, which may be another one.

    The settings are those of one model line, at first the default line; `line` names it, and `lines` are the declared
    ones.
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
    lines: tuple[str, ...] = ()
    line: str = DEFAULT

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Environment:
        return cls(
            name=env_vars.text(source, "ENVIRONMENT"),
            queue_url=env_vars.text(source, "QUEUE_URL"),
            dead_letter_queue_url=env_vars.text(source, "DEAD_LETTER_QUEUE_URL"),
            topic_arn=env_vars.text(source, "TOPIC_ARN"),
            data_bucket=env_vars.text(source, "DATA_BUCKET"),
            pipeline=env_vars.text(source, "PIPELINE_NAME"),
            model_package_group=env_vars.text(source, "MODEL_PACKAGE_GROUP_NAME"),
            endpoint=env_vars.text(source, "ENDPOINT_NAME"),
            headrace=env_vars.text(source, "COMMAND"),
            registry_headrace=env_vars.text(source, "REGISTRY_COMMAND"),
            lines=tuple(env_vars.texts(source, "LINES")) if "LINES" in source else (),
        )

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
