"""The availability zones of an environment's VPC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from environments.names import ZONE
from pipeline_definition.limits import Items, Pattern, Problem

FEWEST_ZONES, MOST_ZONES = 2, 16  # an endpoint's model takes subnets in two zones at least, VpcConfig 16 at most

Zones = Annotated[
    tuple[Annotated[str, Pattern(ZONE, hint="name zones of the region, for example eu-central-1a")], ...],
    Items(
        FEWEST_ZONES,
        MOST_ZONES,
        distinct=True,
        or_none=True,
        hint=f"name {FEWEST_ZONES} to {MOST_ZONES} different ones: an endpoint's subnets lie in two zones at least",
    ),
]


def network_problems(region: str, access: str, zones: Zones) -> Iterator[Problem]:
    if zones and access == "public":
        yield (
            "availability_zones has no effect with network_access 'public'",
            'set network_access = "vpc", or leave it out',
        )
    for zone in zones:
        if zone[:-1] != region:
            yield (
                f"availability_zones holds {zone!r}, which is not a zone of {region}",
                f"choose from: aws ec2 describe-availability-zones --region {region}",
            )
