"""Condition step: its conditions are ANDed; the steps of the branch not taken are skipped."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType
from pipeline_language.definition import Step
from pipeline_language.members import shown, suggestion, unknown_members

_COMPARED = ("LeftValue", "RightValue")
_QUERIED = ("QueryValue", "Values")
_MEMBERS: dict[str, tuple[str, ...]] = {
    "Equals": _COMPARED,
    "NotEquals": _COMPARED,
    "GreaterThan": _COMPARED,
    "GreaterThanOrEqualTo": _COMPARED,
    "LessThan": _COMPARED,
    "LessThanOrEqualTo": _COMPARED,
    "In": _QUERIED,
    "NotIn": _QUERIED,
    "Not": ("Condition",),
    "Or": ("Conditions",),
}  # NotEquals and NotIn: of AWS's published JSON schema; the SDK writes Not


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
    if kind in ("In", "NotIn"):
        found = any(_equal(condition["QueryValue"], value) for value in condition["Values"])
        return found is (kind == "In")
    left, right = condition.get("LeftValue"), condition.get("RightValue")
    if kind in ("Equals", "NotEquals"):
        return _equal(left, right) is (kind == "Equals")
    low, high = _comparable(left, right)
    match kind:
        case "GreaterThan":
            return low > high
        case "GreaterThanOrEqualTo":
            return low >= high
        case "LessThan":
            return low < high
        case "LessThanOrEqualTo":
            return low <= high
    raise ConditionError(f"'{kind}' is not a condition type.")


def _problems(step: Step) -> Iterator[str]:
    for problem in unknown_members(step.arguments, ("Conditions", "IfSteps", "ElseSteps")):
        yield f"Arguments: {problem}"
    yield from condition_problems(step.arguments.get("Conditions"), "Arguments.Conditions")


def condition_problems(conditions: Any, where: str) -> Iterator[str]:
    """What is wrong with the form of a list of conditions, before any value is known."""
    if not isinstance(conditions, list) or not conditions:
        yield f"{where} must be a list with at least one condition."
        return
    for index, condition in enumerate(conditions):
        yield from _one_problem(condition, f"{where}[{index}]")


def _one_problem(condition: Any, where: str) -> Iterator[str]:
    if not isinstance(condition, dict):
        yield f"{where}: {shown(condition)} is not a condition."
        return
    kind = condition.get("Type")
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None:
        yield f"{where}: {shown(kind)} is not a condition type; {suggestion(str(kind), _MEMBERS)}"
        return
    yield from (f"{where}: {problem}" for problem in unknown_members(condition, ("Type", *members)))
    yield from (f"{where}: a condition of type {kind} needs {member}." for member in members if member not in condition)
    if kind == "Not" and "Condition" in condition:
        yield from _one_problem(condition["Condition"], f"{where}.Condition")
    if kind == "Or" and "Conditions" in condition:
        yield from condition_problems(condition["Conditions"], f"{where}.Conditions")
    if members == _QUERIED and not isinstance(condition.get("Values", []), list):
        yield f"{where}: a condition of type {kind} needs a list of Values."


def _equal(left: Any, right: Any) -> bool:
    """Text is never equal to a number, nor a boolean to 1, although Python says so of the latter."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _comparable(left: Any, right: Any) -> tuple[float, float]:
    """Numbers, or text that is one; else two dates, as seconds."""
    for read in (_number, _time):
        with suppress(ValueError):
            return read(left), read(right)
    raise ConditionError(f"{shown(left)} and {shown(right)} can be compared neither as numbers nor as dates.")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    return float(value)


def _time(value: Any) -> float:
    """Of a date or a date with a time, in ISO-8601; without an offset it is in UTC."""
    if not isinstance(value, str):
        raise ValueError(value)
    time = datetime.fromisoformat(value)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


TYPE = StepType(run=_run, check=_problems, properties=("Outcome",))
