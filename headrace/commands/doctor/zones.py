"""Availability zones of an environment that has a VPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem
from headrace.project.settings import Setting, settings_of

TAKEN_BY_DEFAULT = 2  # infra/data/network.py takes the first ones by name
# It lacks most instance types and several services; which letter it has differs from account to account:
# https://docs.aws.amazon.com/sagemaker/latest/dg/infrastructure-connect-to-resources.html lists the zones by id.
LIMITED = {"use1-az3"}


def check_zones(environment: Environment) -> Iterator[Finding]:
    settings = settings_of(environment.name)
    if settings["network_access"].value != "vpc":
        return
    ids = available_zones(environment)
    chosen = chosen_zones(settings, ids)
    good = sorted(name for name, zone in ids.items() if zone not in LIMITED)
    hint = f"availability_zones = {good[:TAKEN_BY_DEFAULT]} under [{environment.name}] in environments.toml"
    for name in chosen:
        if name not in ids:
            yield problem("zone", f"{name} is not available; there are {', '.join(sorted(ids))}", hint=hint)
        elif ids[name] in LIMITED:
            found = f"{name} is {ids[name]} in this account, which lacks most instance types"
            yield problem("zone", found, hint=hint)
        else:
            yield ok("zone", f"{name} ({ids[name]})")


def available_zones(environment: Environment) -> dict[str, str]:
    """Their ids by their names."""
    with environment.doing("listing the availability zones"):
        answer = environment.client("ec2").describe_availability_zones()
    return {zone["ZoneName"]: zone["ZoneId"] for zone in answer["AvailabilityZones"] if zone["State"] == "available"}


def chosen_zones(settings: Mapping[str, Setting], ids: Mapping[str, str]) -> list[str]:
    """Those of the environment's VPC."""
    return list(settings["availability_zones"].value) or sorted(ids)[:TAKEN_BY_DEFAULT]
