"""Whether the bill can be known by environment, and whether a budget counts what credits pay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem
from headrace.project.settings import settings_of

TAG = "headrace:environment"


def check_cost_tag(environment: Environment) -> Iterator[Finding]:
    """Without it, a budget counts 0 USD. AWS knows a tag some hours after a resource first had it."""
    if settings_of(environment.name)["monthly_budget"].value is None:
        yield ok("cost tag", "no monthly_budget is set, so nothing depends on tags")
        return
    with environment.doing("reading the cost allocation tags"):
        found = environment.client("ce").list_cost_allocation_tags(TagKeys=[TAG])["CostAllocationTags"]
    if any(tag["Status"] == "Active" for tag in found):
        yield ok("cost tag", f"{TAG} is active")
        return
    activate = f"aws ce update-cost-allocation-tags-status --cost-allocation-tags-status TagKey={TAG},Status=Active"
    if not found and environment.find_stack(environment.stack_name) is None:
        yield ok("cost tag", f"no resource has {TAG} yet; a day after the deployment: {activate}")
        return
    yield problem(
        "cost tag",
        f"{TAG} is not active, so that the budget counts 0 USD",
        hint=f"{activate}   # in the organization's management account, if there is one",
    )


def check_budgets(environment: Environment) -> Iterator[Finding]:
    """CostTypes.IncludeCredit is true unless a budget says otherwise: with credits, a bill of 0 USD is forecast."""
    if settings_of(environment.name)["monthly_budget"].value is None:
        return
    with environment.doing("reading the budgets"):
        account = environment.client("sts").get_caller_identity()["Account"]
        pages = environment.client("budgets").get_paginator("describe_budgets").paginate(AccountId=account)
        budgets = [budget for page in pages for budget in page.get("Budgets", [])]
    own = [budget for budget in budgets if _is_of(budget, environment.name)]
    for budget in own:
        costs = budget.get("CostTypes", {})
        if costs.get("IncludeCredit", True) or costs.get("IncludeRefund", True):
            yield problem(
                "budget",
                f"{budget['BudgetName']} counts what is left after credits and refunds: 0 USD in a new account",
                hint=f"{environment.deploy_command}   # this version's budget leaves them out",
            )
        else:
            yield ok("budget", f"{budget['BudgetName']} leaves credits out")
    if not own:
        yield ok("budget", "the deployment makes it")


def _is_of(budget: dict[str, Any], name: str) -> bool:
    return f"user:{TAG}${name}" in budget.get("CostFilters", {}).get("TagKeyValue", [])
