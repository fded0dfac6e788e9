"""Condition step: its conditions are ANDed; the steps of the branch not taken are skipped."""

from typing import Any

from local_cloud.sagemaker.engine.steps.kind import Attempt, Outcome, StepType


class ConditionError(ValueError):
    """A condition that cannot be evaluated, such as a comparison of a number with text."""


def _run(attempt: Attempt) -> Outcome:
    outcome = all(holds(condition) for condition in attempt.arguments["Conditions"])
    text = "True" if outcome else "False"
    return Outcome("Succeeded", properties={"Outcome": text}, metadata={"Condition": {"Outcome": text}})


def holds(condition: dict[str, Any]) -> bool:
    """Whether a resolved condition is true; raises ConditionError for an unknown type or unlike operands."""
    kind = condition.get("Type")
    if kind == "Not":
        return not holds(condition["Condition"])
    if kind == "Or":
        return any(holds(inner) for inner in condition["Conditions"])
    if kind == "In":
        return condition["QueryValue"] in condition["Values"]
    left, right = condition.get("LeftValue"), condition.get("RightValue")
    if kind == "Equals":
        return bool(left == right)
    left, right = _comparable(left, right)
    match kind:
        case "GreaterThan":
            return left > right
        case "GreaterThanOrEqualTo":
            return left >= right
        case "LessThan":
            return left < right
        case "LessThanOrEqualTo":
            return left <= right
    raise ConditionError(f"'{kind}' is no condition type.")


def _comparable(left: Any, right: Any) -> tuple[float, float]:
    try:
        return float(left), float(right)
    except (TypeError, ValueError) as error:
        raise ConditionError(f"{left!r} and {right!r} cannot be compared as numbers.") from error


TYPE = StepType(run=_run)
