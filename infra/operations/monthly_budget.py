"""What the environment may cost in a month, by AWS's own bill: a notice is sent before it is more."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from constructs import Construct

from infra.parts.notices import Notices

FORECAST_PERCENT, ACTUAL_PERCENT = 80, 100


class MonthlyBudget(Construct):
    """It notifies and stops nothing; `max_run_cost` keeps a run from being started. Credits and refunds are left
    out: it counts what the environment uses.

    The bill is known hours later, up to a day, and by tag only after somebody has activated the tag
    headrace:environment as a cost allocation tag, once for the organization: console, Billing and Cost Management, Cost
    allocation tags; or aws ce update-cost-allocation-tags-status. Until then the budget counts 0 USD.
    """

    def __init__(self, scope: Construct, id: str, *, tag: tuple[str, str], usd: float, notices: Notices) -> None:
        super().__init__(scope, id)
        # Apart from the alarms, which the function `notify` words: a budget is not a defect and needs no function.
        notices.let_publish("budgets.amazonaws.com", "BudgetsPublish")
        key, value = tag
        people = budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=notices.topic.topic_arn)
        self.budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=usd, unit="USD"),
                # Both are counted off unless it is written out: in a new account, whose credits pay for all, 0 USD.
                cost_types=budgets.CfnBudget.CostTypesProperty(include_credit=False, include_refund=False),
                cost_filters={"TagKeyValue": [f"user:{key}${value}"]},
            ),
            notifications_with_subscribers=[
                budgets.CfnBudget.NotificationWithSubscribersProperty(
                    notification=budgets.CfnBudget.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=[people],
                )
                for kind, percent in (("FORECASTED", FORECAST_PERCENT), ("ACTUAL", ACTUAL_PERCENT))
            ],
        )
        self.budget.node.add_dependency(notices)  # it tests that it may publish when it is made
