"""Quotas by name, with the place where more is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem, unknown
from headrace.commands.doctor.needs import Need, needs
from headrace.project.settings import settings_of

VPCS = "VPCs per Region"


@dataclass(frozen=True, slots=True)
class Quota:
    value: float
    link: str


def check_quotas(environment: Environment) -> Iterator[Finding]:
    """Concurrent runs count as well: a job above its quota is retried for 7 minutes, and then fails."""
    settings = settings_of(environment.name)
    quotas = _quotas(environment, "sagemaker")
    for need in needs(settings):
        found = quotas.get(need.quota)
        if found is not None:
            yield _judged(environment, need, found, runs=settings["max_concurrent_runs"].value if need.per_run else 1)
        elif not need.optional:
            yield unknown(
                "quota",
                f"Service Quotas has no {need.quota!r} in {environment.region}",
                hint=f"is the type of {need.setting} right, and is it there in {environment.region}? "
                "https://aws.amazon.com/sagemaker/pricing/",
            )


def _judged(environment: Environment, need: Need, quota: Quota, *, runs: int) -> Finding:
    where = f"[{environment.name}] in environments.toml"
    if quota.value < need.count:
        other = "leave it out" if need.setting == "keep_alive_seconds" else "choose a type that has a quota"
        return problem(
            "quota",
            f"{need.quota} is {quota.value:g}, and {need.count} are needed: {need.why}",
            hint=f"ask AWS for {need.count} or more: {quota.link}; or {other}: {need.setting} of {where}",
        )
    at_once = int(quota.value // need.count)
    if at_once < runs:
        return problem(
            "quota",
            f"{need.quota} is {quota.value:g}, enough for {at_once} runs at once, and max_concurrent_runs is {runs}: "
            f"{need.why}",
            hint=f"max_concurrent_runs = {at_once} under {where}; or ask AWS for {runs * need.count}: {quota.link}",
        )
    return ok("quota", f"{need.quota} is {quota.value:g}, and {need.count} are needed: {need.why}")


def check_vpcs(environment: Environment) -> Iterator[Finding]:
    """An environment in a VPC makes one; the quota is 5 in a new account."""
    if settings_of(environment.name)["network_access"].value != "vpc":
        return
    if environment.find_stack(environment.stack_name) is not None:
        return  # it has its own
    quota = _quotas(environment, "vpc").get(VPCS)
    with environment.doing("counting the VPCs of the region"):
        pages = environment.client("ec2").get_paginator("describe_vpcs").paginate()
        used = sum(len(page["Vpcs"]) for page in pages)
    if quota is None:
        yield unknown("quota", f"Service Quotas has no {VPCS!r}", hint="aws ec2 describe-vpcs lists those there are")
    elif used >= quota.value:
        yield problem(
            "quota",
            f"{VPCS} is {quota.value:g}, and {used} are there: the environment makes one more",
            hint=f"delete one (aws ec2 describe-vpcs), or ask AWS for more: {quota.link}",
        )
    else:
        yield ok("quota", f"{VPCS} is {quota.value:g}, and {used} are there")


def _quotas(environment: Environment, service: str) -> dict[str, Quota]:
    """As they apply to the account, by name; those of SageMaker are some 2,000."""
    with environment.doing(f"reading the quotas of {service}"):
        pages = environment.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode=service)
        return {quota["QuotaName"]: Quota(quota["Value"], _link(quota)) for page in pages for quota in page["Quotas"]}


def _link(quota: dict[str, Any]) -> str:
    region = quota["QuotaArn"].split(":")[3]
    place = f"https://{region}.console.aws.amazon.com/servicequotas/home/services"
    return f"{place}/{quota['ServiceCode']}/quotas/{quota['QuotaCode']}"
