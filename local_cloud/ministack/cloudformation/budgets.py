"""``AWS::Budgets::Budget`` by ministack's own budgets, which have no costs: none ever sends a notice."""

import json
import secrets
from typing import Any

from ministack.core import responses
from ministack.services import budgets
from ministack.services.cloudformation import provisioners


def install() -> None:
    provisioners._RESOURCE_HANDLERS["AWS::Budgets::Budget"] = {"create": _create, "delete": _delete}


def _create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    budget = properties["Budget"]
    name = budget.get("BudgetName", f"{logical_id}-{secrets.token_hex(6)}")
    limit = {key: str(value) for key, value in budget["BudgetLimit"].items()}
    notifications = properties.get("NotificationsWithSubscribers", [])
    for item in notifications:
        item["Notification"]["Threshold"] = float(item["Notification"]["Threshold"])
    status, _, body = budgets._create_budget({
        "AccountId": responses.get_account_id(),
        "Budget": budget | {"BudgetName": name, "BudgetLimit": limit},
        "NotificationsWithSubscribers": notifications,
    })  # fmt: skip
    if status != 200:
        raise ValueError(f"AWS::Budgets::Budget: {json.loads(body)}")
    return name, {}


def _delete(name: str, properties: dict[str, Any]) -> None:
    budgets._delete_budget({"BudgetName": name})
