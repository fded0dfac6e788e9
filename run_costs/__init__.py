"""The most that one run of a definition may cost, from the definition, its parameters and a table of prices.

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

# Of a training job: "The default value is 1 day" (API reference, StoppingCondition). Of a processing job: "24 hours"
# (SageMaker SDK, Processor's max_runtime_in_seconds); the API reference names none.
DEFAULT_SECONDS = 24 * 3600

# Steps that run on no instance of this account's SageMaker.
FREE = frozenset({"Condition", "Fail", "Lambda", "Model", "RegisterModel"})
BRANCHES = ("IfSteps", "ElseSteps")
REDRIVE = "then: headrace redrive"


class UnknownCostError(ValueError):
    """Nobody knows beforehand what the run may cost: `what` is in the way, and a `hint` that says what to do."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(f"{what}\nhint: {hint}")
        self.what, self.hint = what, hint


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


def estimate(definition: Mapping[str, Any], parameters: Mapping[str, str], prices: Mapping[str, float]) -> Estimate:
    """The most that one run of the definition may cost. Raises UnknownCostError where that cannot be known."""
    defaults = {item["Name"]: item.get("DefaultValue") for item in definition.get("Parameters", [])}
    priced = _Prices(prices, defaults | dict(parameters))
    return Estimate(tuple(line for step in _every_step(definition["Steps"]) for line in priced.lines(step)))


def _every_step(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Those of a condition's branches after it."""
    for step in steps:
        yield step
        for branch in BRANCHES:
            yield from _every_step(step.get("Arguments", {}).get(branch, []))


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
                raise UnknownCostError(
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
            raise UnknownCostError(
                f"step {step}: InstanceType is {kind!r}, so nobody knows what it costs, and max_run_cost is set",
                hint="write the type, or a parameter that holds it",
            )
        if kind not in self.prices:
            raise UnknownCostError(
                f"step {step}: there is no price for the instance type {kind}, and max_run_cost is set",
                hint=f"add it to prices.toml and deploy; {REDRIVE}. Priced are {', '.join(sorted(self.prices))}",
            )
        return self.prices[kind]

    def _whole(self, step: str, key: str, value: Any, *, least: int = 1) -> int:
        """A whole number, which a parameter gives as text."""
        value = self._resolved(value)
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if type(number) is not int or number < least:
            raise UnknownCostError(
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
