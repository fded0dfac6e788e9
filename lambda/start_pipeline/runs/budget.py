"""The cost guard: an execution that may cost more than the environment's max_run_cost is not started (`run_costs`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import run_costs
from run_costs import REDRIVE, Estimate, UnknownCostError
from shared.env_vars import Variables
from shared.errors import BudgetError, OverBudgetError

LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Budget(Variables):
    """The maximum cost of one run in USD, and the price of each instance type in USD per hour."""

    limit: Annotated[float, "MAX_RUN_COST"]
    prices: Mapping[str, float]

    def approve(self, definition: Mapping[str, Any], parameters: Mapping[str, str]) -> Estimate:
        """The estimate of a run within the budget. Raises BudgetError for any other run."""
        estimated = estimate(definition, parameters, self.prices)
        if estimated.total > self.limit:
            dearest = sorted(estimated.lines, key=lambda line: -line.usd)
            shown = ", ".join(map(str, dearest[:LINES_SHOWN])) + (", …" if len(dearest) > LINES_SHOWN else "")
            raise OverBudgetError(
                f"a run may cost {estimated.total:.2f} USD, and max_run_cost is {self.limit:.2f} USD: {shown}",
                hint="raise max_run_cost in environments.toml, or lower max_run_seconds or choose cheaper instance "
                f"types in [<environment>.pipeline], and deploy; {REDRIVE}",
                estimated=estimated.total,
                limit=self.limit,
                breakdown=[str(line) for line in dearest],
            )
        return estimated


def estimate(definition: Mapping[str, Any], parameters: Mapping[str, str], prices: Mapping[str, float]) -> Estimate:
    """The maximum cost of one run of the definition. Raises BudgetError where it cannot be estimated."""
    try:
        return run_costs.estimate(definition, parameters, prices)
    except UnknownCostError as problem:
        raise BudgetError(problem.what, hint=problem.hint) from problem
