"""Whose credentials these are, and whether the account and the region are the environment's."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem, unknown
from headrace.errors import HeadraceError, error_code

HOME = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}  # a region that every account of the partition has


def check_identity(environment: Environment) -> Iterator[Finding]:
    """A problem here leaves nothing else to be checked."""
    try:
        with environment.doing("asking whose credentials these are"):
            identity = environment.client("sts").get_caller_identity()
    except HeadraceError as error:
        yield problem("credentials", str(error), hint=error.hint or "aws sts get-caller-identity")
        return
    yield ok("credentials", identity["Arn"])
    if environment.account and identity["Account"] != environment.account:
        yield problem(
            "account",
            f"environment {environment.name} is account {environment.account}, but the credentials in use are of "
            f"{identity['Account']}",
            hint="export AWS_PROFILE=NAME chooses others; or correct account in environments.toml",
        )
        return
    yield ok("account", identity["Account"])


def check_region(environment: Environment) -> Iterator[Finding]:
    """Asked of a region that is always there: one that the account has not enabled knows no credentials of it."""
    region = environment.region
    if environment.running is not None:
        yield ok("region", f"{region}; the local cloud takes any")
        return
    home = next((there for prefix, there in HOME.items() if region.startswith(f"{prefix}-")), "us-east-1")
    with environment.doing(f"looking up the region {region}"):
        try:
            answer = environment.client("ec2", region=home).describe_regions(RegionNames=[region], AllRegions=True)
        except ClientError as error:
            if error_code(error) != "InvalidParameterValue":
                raise
            answer = {"Regions": []}
    found = next(iter(answer["Regions"]), None)
    if found is None:
        yield problem(
            "region",
            f"AWS has no region {region!r}",
            hint=f'correct region under [{environment.name}] in environments.toml, e.g. "eu-central-1"',
        )
    elif found["OptInStatus"] == "not-opted-in":
        yield problem(
            "region",
            f"the account has not enabled {region}",
            hint=f"aws account enable-region --region-name {region}   # takes minutes; or choose another region",
        )
    else:
        yield ok("region", region)


def not_checked(environment: Environment) -> Finding:
    again = environment.command("doctor")
    return unknown("everything else", "it takes credentials of the environment's account", hint=f"then: {again}")
