"""Condition step: its conditions are ANDed; the steps of the branch not taken are skipped."""

from collections.abc import Iterator
from typing import Any

from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType

_COMPARED = ("LeftValue", "RightValue")
_MEMBERS: dict[str, tuple[str, ...]] = {
    "Equals": _COMPARED,
    "GreaterThan": _COMPARED,
    "GreaterThanOrEqualTo": _COMPARED,
    "LessThan": _COMPARED,
    "LessThanOrEqualTo": _COMPARED,
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}


class ConditionError(ValueError):
    """A condition that cannot be evaluated, such as a comparison of a number with text."""


def _run(attempt: Attempt) -> Outcome:
    outcome = all(holds(condition) for condition in attempt.arguments["Conditions"])
    text = "True" if outcome else "False"
    return Outcome(StepStatus.SUCCEEDED, properties={"Outcome": text}, metadata={"Condition": {"Outcome": text}})


def holds(condition: dict[str, Any]) -> bool:
    """Whether a resolved condition is true; raises ConditionError for an unknown type or unlike operands."""
    kind = condition.get("Type")
    if kind == "Not":
        return not holds(condition["Condition"])
    if kind == "Or":
        return any(holds(inner) for inner in condition["Conditions"])
    if kind == "In":
        return any(_equal(condition["QueryValue"], value) for value in condition["Values"])
    left, right = condition.get("LeftValue"), condition.get("RightValue")
    if kind == "Equals":
        return _equal(left, right)
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
    raise ConditionError(f"'{kind}' is not a condition type.")


def condition_problems(conditions: Any) -> Iterator[str]:
    """What is wrong with the form of a list of conditions, before any value is known."""
    if not isinstance(conditions, list) or not conditions:
        yield "Conditions must be a list with at least one condition."
        return
    for condition in conditions:
        kind = condition.get("Type") if isinstance(condition, dict) else None
        members = _MEMBERS.get(kind) if isinstance(kind, str) else None
        if members is None:
            yield f"'{kind}' is not a condition type; known are {', '.join(_MEMBERS)}."
            continue
        yield from (f"A condition of type {kind} needs {member}." for member in members if member not in condition)
        if kind == "Not" and "Condition" in condition:
            yield from condition_problems([condition["Condition"]])
        if kind == "Or" and "Conditions" in condition:
            yield from condition_problems(condition["Conditions"])
        if kind == "In" and not isinstance(condition.get("Values", []), list):
            yield "A condition of type In needs a list of Values."


def _equal(left: Any, right: Any) -> bool:
    """Text is never equal to a number, nor a boolean to 1, although Python says so of the latter."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _comparable(left: Any, right: Any) -> tuple[float, float]:
    try:
        if isinstance(left, bool) or isinstance(right, bool):
            raise TypeError("a boolean is not a number")
        return float(left), float(right)
    except (TypeError, ValueError) as error:
        raise ConditionError(f"{left!r} and {right!r} cannot be compared as numbers.") from error


TYPE = StepType(run=_run)
