"""The settings that the stack passes to the function in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared import env_vars
from shared.errors import SettingError
from shared.lines import DEFAULT, resource_name

MAX_INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of an endpoint."""

    type: str
    count: int


@dataclass(frozen=True, slots=True)
class Environment:
    """The settings of one model line, at first of the default line; `line` names it, `lines` are the declared ones.

    `model_package_group` is the group's name, or its ARN if the group is in another account. `model_package_group_arn`
    is always the ARN.
    """

    endpoint_name: str
    endpoint_role_arn: str
    model_package_group: str
    model_package_group_arn: str
    instance_type: str
    instance_count: int
    queue_url: str
    dead_letter_queue_url: str
    notices_queue_url: str
    tags: Mapping[str, str]
    data_bucket: str | None = None
    """The bucket of the versions' artifacts; None where an environment of another account trains them."""
    vpc_config: Mapping[str, list[str]] | None = None
    """SecurityGroupIds and Subnets of the environment's network, if it has one."""
    lines: Mapping[str, Instances] = field(default_factory=dict)
    line: str = DEFAULT

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Environment:
        return cls(
            endpoint_name=env_vars.text(source, "ENDPOINT_NAME"),
            endpoint_role_arn=env_vars.text(source, "ENDPOINT_ROLE_ARN"),
            model_package_group=env_vars.text(source, "MODEL_PACKAGE_GROUP_NAME"),
            model_package_group_arn=env_vars.text(source, "MODEL_PACKAGE_GROUP_ARN"),
            instance_type=env_vars.text(source, "ENDPOINT_INSTANCE_TYPE"),
            instance_count=env_vars.whole_number(source, "ENDPOINT_INSTANCE_COUNT", low=1, high=MAX_INSTANCES),
            queue_url=env_vars.text(source, "QUEUE_URL"),
            dead_letter_queue_url=env_vars.text(source, "DEAD_LETTER_QUEUE_URL"),
            notices_queue_url=env_vars.text(source, "NOTICES_QUEUE_URL"),
            tags=env_vars.named_texts(source, "TAGS", default="{}"),
            data_bucket=source.get("DATA_BUCKET"),
            vpc_config=env_vars.lists_of_texts(source, "VPC_CONFIG") if "VPC_CONFIG" in source else None,
            lines=_lines(source) if "LINES" in source else {},
        )

    def of_line(self, line: str) -> Environment:
        """The settings of another line. Call it on the default line's settings."""
        if not line:
            return self
        return replace(
            self,
            line=line,
            endpoint_name=resource_name(self.endpoint_name, line),
            model_package_group=resource_name(self.model_package_group, line),
            model_package_group_arn=resource_name(self.model_package_group_arn, line),
            instance_type=self.lines[line].type,
            instance_count=self.lines[line].count,
        )

    @property
    def of_every_line(self) -> list[Environment]:
        """The settings of each line, those of the default line first."""
        return [self.of_line(line) for line in (DEFAULT, *sorted(self.lines))]


def _lines(source: Mapping[str, str]) -> dict[str, Instances]:
    """{"pets": {"type": "ml.m5.large", "count": 1}}"""
    found = {}
    for line, instances in env_vars.json_object(source, "LINES").items():
        match instances:
            case {"type": str(kind), "count": int(count)} if 1 <= count <= MAX_INSTANCES:
                found[line] = Instances(kind, count)
            case _:
                raise SettingError(
                    f"the environment variable LINES holds {instances!r} for the line {line}",
                    hint='give each line {"type": "ml.m5.large", "count": 1}',
                )
    return found
