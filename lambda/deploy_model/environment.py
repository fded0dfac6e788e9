"""The settings that the stack passes to the function in environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from shared.env_vars import NOT_READ, Variables
from shared.lines import DEFAULT, resource_name

MAX_INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Instances:
    """The instances of an endpoint."""

    type: str
    count: Annotated[int, range(1, MAX_INSTANCES + 1)]


@dataclass(frozen=True, slots=True)
class Environment(Variables):
    """The settings of one model line, at first of the default line; `line` names it, `lines` are the declared ones.

    `model_package_group` is the group's name, or its ARN if the group is in another account. `model_package_group_arn`
    is always the ARN.
    """

    endpoint_name: str
    endpoint_role_arn: str
    model_package_group: Annotated[str, "MODEL_PACKAGE_GROUP_NAME"]
    model_package_group_arn: str
    instance_type: Annotated[str, "ENDPOINT_INSTANCE_TYPE"]
    instance_count: Annotated[int, "ENDPOINT_INSTANCE_COUNT", range(1, MAX_INSTANCES + 1)]
    queue_url: str
    dead_letter_queue_url: str
    notices_queue_url: str
    tags: Mapping[str, str] = field(default_factory=dict)
    data_bucket: str | None = None
    """The bucket of the versions' artifacts; None where an environment of another account trains them."""
    vpc_config: Mapping[str, list[str]] | None = None
    """SecurityGroupIds and Subnets of the environment's network, if it has one."""
    lines: Mapping[str, Instances] = field(default_factory=dict)
    line: Annotated[str, NOT_READ] = DEFAULT

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
