"""The cost guard: no execution is started that may cost more than the environment's max_run_cost.

The estimate is an upper bound: every job of the definition, those of both branches of a condition, runs once and for as
long as its stopping condition lets it, at the price of on-demand capacity. What may be less is counted in full:
cached steps, spot capacity, the branch that is not taken. Left out are storage and transfer (cents beside the
instances), what a job downloads and uploads outside its limit, and a repetition after a fault of SageMaker itself.

Nothing is guessed: an instance type without a price, or a job whose cost nobody can know beforehand, is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import variables
from refusals import BudgetError, OverBudgetError
from start_pipeline.binding import every_step

# Of a training job: "The default value is 1 day" (API reference, StoppingCondition). Of a processing job: "24 hours"
# (SageMaker SDK, Processor's max_runtime_in_seconds); the API reference names none.
DEFAULT_SECONDS = 24 * 3600
LINES_SHOWN = 5

# Steps that run on no instance of this account's SageMaker.
FREE = frozenset({"Condition", "Fail", "Lambda", "Model", "RegisterModel"})
REDRIVE = "then: headrace redrive"


@dataclass(frozen=True, slots=True)
class Line:
    """The most that one step's jobs may cost, and how that comes about."""

    step: str
    usd: float
    how: str

    def __str__(self) -> str:
        return f"{self.step}: {self.usd:.2f} USD ({self.how})"


@dataclass(frozen=True, slots=True)
class Estimate:
    lines: tuple[Line, ...]

    @property
    def total(self) -> float:
        return sum(line.usd for line in self.lines)


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one run may cost in USD, and what an instance of each type costs in USD an hour."""

    limit: float
    prices: Mapping[str, float]

    @classmethod
    def from_variables(cls, source: Mapping[str, str]) -> Budget | None:
        """None where the environment sets no limit."""
        if "MAX_RUN_COST" not in source:
            return None
        return cls(variables.number(source, "MAX_RUN_COST"), variables.named_numbers(source, "PRICES"))

    def approve(self, definition: Mapping[str, Any], parameters: Mapping[str, str]) -> Estimate:
        """The estimate of a run that may be started. Raises BudgetError for one that may not."""
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
    """The most that one run of the definition may cost. Raises BudgetError where that cannot be known."""
    defaults = {item["Name"]: item.get("DefaultValue") for item in definition.get("Parameters", [])}
    priced = _Prices(prices, defaults | dict(parameters))
    return Estimate(tuple(line for step in every_step(definition["Steps"]) for line in priced.lines(step)))


@dataclass(frozen=True, slots=True)
class _Prices:
    """What it takes to price a step: the prices, and the execution's parameters."""

    prices: Mapping[str, float]
    parameters: Mapping[str, Any]

    def lines(self, step: Mapping[str, Any]) -> Iterator[Line]:
        name, arguments = step["Name"], step.get("Arguments", {})
        match step["Type"]:
            case "Processing":
                cluster = arguments.get("ProcessingResources", {}).get("ClusterConfig", {})
                yield self._job(name, arguments, [cluster])
            case "Training":
                yield self._training(name, arguments)
            case "Tuning":
                yield self._tuning(name, arguments)
            case kind if kind not in FREE:
                raise BudgetError(
                    f"step {name}: nobody knows beforehand what a step of type {kind} costs, and max_run_cost is set",
                    hint="use processing, training or tuning steps, or take max_run_cost out of environments.toml and "
                    f"deploy; {REDRIVE}",
                )

    def _training(self, step: str, arguments: Mapping[str, Any]) -> Line:
        resources = arguments.get("ResourceConfig", {})
        groups = resources.get("InstanceGroups") or [resources]
        # A warm pool is billed for as long as it waits for the next job.
        kept = self._whole(step, "KeepAlivePeriodInSeconds", resources.get("KeepAlivePeriodInSeconds", 0), least=0)
        return self._job(step, arguments, groups, kept_seconds=kept)

    def _tuning(self, step: str, arguments: Mapping[str, Any]) -> Line:
        limits = arguments.get("HyperParameterTuningJobConfig", {}).get("ResourceLimits", {})
        count = self._whole(step, "MaxNumberOfTrainingJobs", limits.get("MaxNumberOfTrainingJobs"))
        definitions = arguments.get("TrainingJobDefinitions") or [arguments.get("TrainingJobDefinition", {})]
        dearest = max((self._training(step, definition) for definition in definitions), key=lambda line: line.usd)
        return Line(step, count * dearest.usd, f"{count} jobs of {dearest.how}")

    def _job(
        self, step: str, arguments: Mapping[str, Any], groups: list[Mapping[str, Any]], *, kept_seconds: int = 0
    ) -> Line:
        limit = arguments.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DEFAULT_SECONDS)
        seconds = self._whole(step, "MaxRuntimeInSeconds", limit) + kept_seconds
        usd, instances = 0.0, []
        for group in groups:
            kind = self._resolved(group.get("InstanceType"))
            count = self._whole(step, "InstanceCount", group.get("InstanceCount"))
            usd += count * self._price(step, kind) * seconds / 3600
            instances.append(f"{count} {kind}")
        return Line(step, usd, f"{' and '.join(instances)} for {seconds:,} s")

    def _price(self, step: str, kind: Any) -> float:
        if not isinstance(kind, str):
            raise BudgetError(
                f"step {step}: InstanceType is {kind!r}, so nobody knows what it costs, and max_run_cost is set",
                hint="write the type, or a parameter that holds it",
            )
        if kind not in self.prices:
            raise BudgetError(
                f"step {step}: there is no price for the instance type {kind}, and max_run_cost is set",
                hint=f"add it to prices.toml and deploy; {REDRIVE}. Priced are {', '.join(sorted(self.prices))}",
            )
        return self.prices[kind]

    def _whole(self, step: str, key: str, value: Any, *, least: int = 1) -> int:
        """A whole number, which a parameter gives as text."""
        value = self._resolved(value)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if type(number) is not int or number < least:
            raise BudgetError(
                f"step {step}: {key} is {value!r}, so nobody knows what it costs, and max_run_cost is set",
                hint=f"write a whole number from {least} up, or a parameter that holds one",
            )
        return number

    def _resolved(self, value: Any) -> Any:
        """A reference to a parameter becomes its value; any other is known only at run time, and stays as it is."""
        match value:
            case {"Get": str(path)} if path.startswith("Parameters."):
                return self.parameters.get(path.removeprefix("Parameters."))
        return value
