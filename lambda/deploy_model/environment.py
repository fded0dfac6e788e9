"""What the stack tells the function through its environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import variables

MOST_INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Environment:
    """`model_package_group` is its name, or its ARN too where it is another account's; `…_arn` says whose it is."""

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
    vpc_config: Mapping[str, list[str]] | None = None
    """SecurityGroupIds and Subnets of the environment's network, if it has one."""

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Environment:
        return cls(
            endpoint_name=variables.text(source, "ENDPOINT_NAME"),
            endpoint_role_arn=variables.text(source, "ENDPOINT_ROLE_ARN"),
            model_package_group=variables.text(source, "MODEL_PACKAGE_GROUP_NAME"),
            model_package_group_arn=variables.text(source, "MODEL_PACKAGE_GROUP_ARN"),
            instance_type=variables.text(source, "ENDPOINT_INSTANCE_TYPE"),
            instance_count=variables.whole_number(source, "ENDPOINT_INSTANCE_COUNT", low=1, high=MOST_INSTANCES),
            queue_url=variables.text(source, "QUEUE_URL"),
            dead_letter_queue_url=variables.text(source, "DEAD_LETTER_QUEUE_URL"),
            notices_queue_url=variables.text(source, "NOTICES_QUEUE_URL"),
            tags=variables.named_texts(source, "TAGS", default="{}"),
            vpc_config=variables.lists_of_texts(source, "VPC_CONFIG") if "VPC_CONFIG" in source else None,
        )
