"""`headrace doctor`, and what a first deployment to AWS asks of it."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.client.environment import Environment, environment_on_aws
from headrace.commands.command import Call, command
from headrace.commands.doctor.billing import check_budgets, check_cost_tag
from headrace.commands.doctor.deployment import (
    check_bootstrap,
    check_data_key,
    check_functions,
    check_stack,
    check_tools,
)
from headrace.commands.doctor.findings import Check, Finding, Result, problem, run_check, show
from headrace.commands.doctor.identity import check_identity, check_region, not_checked
from headrace.commands.doctor.images import check_images
from headrace.commands.doctor.offerings import check_offerings
from headrace.commands.doctor.quotas import check_quotas, check_vpcs
from headrace.commands.doctor.subscriptions import check_subscriptions
from headrace.commands.doctor.zones import check_zones
from headrace.errors import AwsError, SetupError
from headrace.terminal.output import Output

CHECKS: tuple[tuple[str, Check], ...] = (
    ("cdk", check_tools),
    ("bootstrap", check_bootstrap),
    ("stack", check_stack),
    ("quota", check_quotas),
    ("quota", check_vpcs),
    ("lambda", check_functions),
    ("image", check_images),
    ("zone", check_zones),
    ("offering", check_offerings),
    ("data key", check_data_key),
    ("cost tag", check_cost_tag),
    ("budget", check_budgets),
    ("notices", check_subscriptions),
)


@command(
    "doctor", "Before anything costs: credentials, account, region, quotas by name, Lambda's concurrency, the CDK's "
    "bootstrap, the stack, images, zones, cost allocation tag and budget. Each problem with its cure; changes "
    "nothing. Ends with status 1 if there is a problem. deploy runs it before a first deployment to AWS.",
    takes_project=False, opens=False,
)  # fmt: skip
def doctor(call: Call) -> None:
    """The command. Raises SetupError if there is a problem; what could not be checked is none."""
    try:  # with credentials of another account as well, which is a finding
        environment = call.open() if call.is_local else environment_on_aws(call.env)
    except AwsError as error:  # a profile that is not there
        show([problem("credentials", str(error), hint=error.hint or "aws configure list")], call.output)
        raise _failed(call.env, 1) from error
    require_healthy(environment, call.output)


def require_healthy(environment: Environment, output: Output) -> None:
    """Shows what each check has found. Raises SetupError if there is a problem."""
    findings = list(_findings(environment))
    show(findings, output)
    problems = sum(finding.result is Result.PROBLEM for finding in findings)
    if problems:
        raise _failed(environment.name, problems)
    unchecked = sum(finding.result is Result.UNKNOWN for finding in findings)
    output.note(f"no problem was found{f'; {unchecked} could not be checked' if unchecked else ''}")


def _findings(environment: Environment) -> Iterator[Finding]:
    identity = list(check_identity(environment))
    yield from identity
    region = list(run_check("region", check_region, environment))
    yield from region
    if any(finding.result is Result.PROBLEM for finding in (*identity, *region)):
        yield not_checked(environment)
        return
    for name, check in CHECKS:
        yield from run_check(name, check, environment)


def _failed(name: str, problems: int) -> SetupError:
    said = "1 problem" if problems == 1 else f"{problems} problems"
    return SetupError(
        f"the account of environment {name} has {said}", hint="the last column has the cure of each; then do this again"
    )
