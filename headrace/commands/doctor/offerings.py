"""Whether EC2 has the settings' instance types in the zones of the environment's VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem, unknown
from headrace.commands.doctor.needs import needs
from headrace.commands.doctor.zones import available_zones, chosen_zones
from headrace.project.settings import Setting, settings_of

PREFIX = "ml."  # SageMaker's names of EC2's types


def check_offerings(environment: Environment) -> Iterator[Finding]:
    """SageMaker starts a job or an endpoint in any of the VPC's zones; one without its type fails it at times."""
    settings = settings_of(environment.name)
    if settings["network_access"].value != "vpc":
        return
    ids = available_zones(environment)
    chosen = [name for name in chosen_zones(settings, ids) if name in ids]  # check_zones names the others
    offered = _offered(environment, sorted(_types(settings)))
    everywhere = sorted(name for name in ids if all(name in zones for zones in offered.values() if zones))
    for kind, zones in offered.items():
        lacking = [name for name in chosen if name not in zones]
        if not zones:
            yield unknown("offering", f"EC2 names no zone of {environment.region} that has {kind}", hint=None)
        elif lacking:
            yield problem(
                "offering",
                f"{', '.join(lacking)} has no {PREFIX}{kind}",
                hint=f"availability_zones = {everywhere[: len(chosen)]} under [{environment.name}] in "
                f"environments.toml, or another instance type; {PREFIX}{kind} is in {', '.join(sorted(zones))}",
            )
        else:
            yield ok("offering", f"{PREFIX}{kind} is in {', '.join(chosen)}")


def _types(settings: Mapping[str, Setting]) -> set[str]:
    """EC2's names of the types whose quotas are needed."""
    first = (need.quota.split(" ")[0] for need in needs(settings))
    return {name.removeprefix(PREFIX) for name in first if name.startswith(PREFIX)}


def _offered(environment: Environment, types: list[str]) -> dict[str, set[str]]:
    """The names of the zones that have each type."""
    with environment.doing("listing the zones of instance types"):
        pages = (
            environment.client("ec2")
            .get_paginator("describe_instance_type_offerings")
            .paginate(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}])
        )
        found = [item for page in pages for item in page["InstanceTypeOfferings"]]
    return {kind: {item["Location"] for item in found if item["InstanceType"] == kind} for kind in types}
