"""Every malformed definition is refused with a DefinitionError that says what is wrong, never with another error."""

import json
from typing import Any

import pytest

from local_cloud.sagemaker.pipelines.engine.check import check
from local_cloud.sagemaker.pipelines.engine.retry import pause_before_retry
from local_cloud.sagemaker.pipelines.steps.condition import ConditionError, holds
from local_cloud.sagemaker.pipelines.steps.step_type import failed
from pipeline_language.definition import DefinitionError, parse


def text(*steps: Any, **more: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **more})


def step(name: str = "A", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Lambda", "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f"} | more


def condition(*conditions: Any, **branches: Any) -> dict[str, Any]:
    return {"Name": "C", "Type": "Condition", "Arguments": {"Conditions": list(conditions), **branches}}


def join(content: Any) -> dict[str, Any]:
    return step(Arguments={"x": {"Std:Join": content}})


def json_get(**content: Any) -> dict[str, Any]:
    return step(Arguments={"x": {"Std:JsonGet": content}})


@pytest.mark.parametrize(("definition", "message"), [
    ("[]", "must be an object"),
    (text(), "no steps"),
    (text(1), "list of objects"),
    (text(step(name=5)), "'5' is not a valid step name"),
    (text(step(), step()), "'A' stands twice"),
    (text(step(), Parameters=[1]), "list of objects"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Text"}]), "has type 'Text'"),
    (text(step(), Parameters=[{"Name": "P", "Type": "String"}] * 2), "'P' stands twice"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "x"}]), "'x' is not a valid Integer"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": True}]), "True is not a valid Integer"),
    (text(step(), Parameters=[{"Name": "P", "Type": "String", "DefaultValue": "c", "EnumValues": ["a"]}]), "none of"),
    (text(step(DependsOn="A")), "DependsOn must be a list"),
    (text(step(DependsOn=[{"Step": "A", "Trigger": "Late"}])), "trigger 'Late' in DependsOn is none of Completed"),
    (text(step(DependsOn=["B", {"Step": "B", "Trigger": "Failed"}])), "with the triggers Completed and Failed"),
    (text(condition(IfSteps=[step(DependsOn=[{"Step": "C", "Trigger": "Any"}])])), "stands under 'C'"),
    (text(step(DependsOn=[3])), "neither a name nor"),
    (text(step(DependsOn=["B"])), "'B', which is not a step"),
    (text(step(DependsOn=["A"])), "cycle"),
    (text(step(CacheConfig={"Enabled": "false"})), "Enabled is true or false"),
    (text(step(CacheConfig={"Enabled": True, "ExpireAfter": "soon"})), "not an ISO-8601 duration"),
    (text(step(RetryPolicies=[{"ExceptionType": "Step.THROTTLING"}])), "must be a list of"),
    (text(step(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 99}])), "between 0 and 20"),
    (text(step(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempts": 1, "ExpireAfterMin": 1}])), "both"),
    (text(step(PropertyFiles=[{"PropertyFileName": "F"}])), "needs PropertyFileName"),
    (text(step(Arguments={"x": {"Get": ""}})), "empty"),
    (text(step(Arguments={"x": {"Get": 3}})), "not a path"),
    (text(step(Arguments={"x": {"Get": "Steps"}})), "unknown step"),
    (text(step(Arguments={"x": {"Get": "Parameters.P.Q"}})), "exactly one name"),
    (text(step(FunctionArn={"Get": "Parameters.P"})), "unknown parameter"),
    (text(join({"On": "/"})), "list of Values"),
    (text(join([])), "not an object"),
    (text(json_get(S3Uri="s3://b/k")), "needs a Path"),
    (text(json_get(Path="a.b")), "exactly one of PropertyFile and S3Uri"),
    (text(json_get(Path="a.b", PropertyFile="F")), "PropertyFile must be"),
    (text(json_get(Path="a..b", S3Uri="s3://b/k")), "'a..b' is not a path"),
    (text({"Name": "C", "Type": "Condition", "Arguments": {}}), "at least one condition"),
    (text(condition({"Type": "Like"})), "'Like' is not a condition type"),
    (text(condition({"Type": "Not", "Expression": {}})), "Not needs Condition"),
    (text(condition({"Type": "Or", "Conditions": [{"Type": "Equals", "LeftValue": 1}]})), "needs RightValue"),
    (text(condition({"Type": "In", "QueryValue": 1, "Values": 1})), "list of Values"),
    (text({"Name": "F", "Type": "Fail"}, step(Arguments={"x": {"Get": "Steps.F.Message"}})), "nothing can depend"),
    (text({"Name": "E", "Type": "EMR"}), "'EMR' is not supported"),
])  # fmt: skip
def test_a_malformed_definition_is_refused(definition: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        check(parse(definition))


@pytest.mark.parametrize(("duration", "seconds"), [
    ("P30D", 30 * 86400), ("30d", 30 * 86400), ("T16m", 960), ("30dT5h", 30 * 86400 + 18000), ("PT1H", 3600),
    ("P4DT12H", 388800), ("p30d", 30 * 86400),
])  # fmt: skip
def test_durations_are_read_as_leniently_as_on_aws(duration: str, seconds: int) -> None:
    definition = parse(text(step(CacheConfig={"Enabled": True, "ExpireAfter": duration})))
    assert definition.steps["A"].cache_seconds == seconds


@pytest.mark.parametrize("entry", ["A", {"Step": "A"}, {"Step": "A", "Trigger": "Completed"}])
def test_a_dependency_is_a_name_or_an_object(entry: Any) -> None:
    assert parse(text(step(), step("B", DependsOn=[entry]))).steps["B"].depends_on == {"A": "Completed"}


@pytest.mark.parametrize(("left", "right", "outcome"), [
    (1, 1.0, True), ("1", 1, False), (True, 1, False), ("a", "a", True),
])  # fmt: skip
def test_only_like_values_are_equal(left: Any, right: Any, outcome: bool) -> None:
    assert holds({"Type": "Equals", "LeftValue": left, "RightValue": right}) is outcome
    assert holds({"Type": "In", "QueryValue": left, "Values": [right]}) is outcome
    assert (
        holds({"Type": "Not", "Condition": {"Type": "Equals", "LeftValue": left, "RightValue": right}}) is not outcome
    )


@pytest.mark.parametrize("left", [True, "many", None, [1]])
def test_what_is_not_a_number_is_not_compared(left: Any) -> None:
    with pytest.raises(ConditionError, match="cannot be compared"):
        holds({"Type": "LessThan", "LeftValue": left, "RightValue": 2})


def retried(reason: str, number: int = 0, elapsed: float = 0, policies: Any = ()) -> float | None:
    parsed = parse(text(step(RetryPolicies=list(policies))))
    return pause_before_retry(parsed.steps["A"], failed(reason), number, elapsed)


def test_a_failing_script_is_not_retried_whatever_it_says() -> None:
    policy = {"ExceptionType": ["Step.THROTTLING", "SageMaker.CAPACITY_ERROR"]}
    assert retried("AlgorithmError: ThrottlingException CapacityError", policies=[policy]) is None


def test_throttling_is_retried_without_a_policy() -> None:
    assert [retried("Rate exceeded (ThrottlingException)", number) for number in (0, 1, 2, 5)] == [1, 2, 4, None]


def test_each_policy_counts_for_its_own_faults() -> None:
    policies = [
        {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 2},
        {"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "IntervalSeconds": 30, "ExpireAfterMin": 1},
    ]
    throttled, capacity = "x (ThrottlingException)", "CapacityError: none left"
    assert [retried(throttled, number, policies=policies) for number in (0, 1, 2)] == [2, 6, None]
    assert [retried(capacity, 0, elapsed, policies) for elapsed in (0, 31)] == [30, None]
