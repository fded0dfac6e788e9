"""Every malformed definition is refused with a DefinitionError that says what is wrong, never with another error."""

import json
from typing import Any

import pytest

from local_cloud.sagemaker.pipelines.engine.check import checked
from local_cloud.sagemaker.pipelines.engine.retry import pause_before_retry
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.condition import ConditionError, holds
from local_cloud.sagemaker.pipelines.steps.step_type import failed
from pipeline_language import members
from pipeline_language.definition import DefinitionError, parse


def text(*steps: Any, **more: Any) -> str:
    return json.dumps({"Version": "2020-12-01", "Steps": list(steps), **more})


def step(name: str = "A", **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Lambda", "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f"} | more


def condition(*conditions: Any, **branches: Any) -> dict[str, Any]:
    return {"Name": "C", "Type": "Condition", "Arguments": {"Conditions": list(conditions), **branches}}


ROLE = "arn:aws:iam::000000000000:role/everything"
INTEGER = [{"Name": "N", "Type": "Integer", "DefaultValue": 1}]


def aws(kind: str, name: str = "S", **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "Arguments": arguments}


def model(**arguments: Any) -> dict[str, Any]:
    return aws("Model", **arguments)


OUTPUT = "Steps.P.ProcessingOutputConfig.Outputs['{}'].S3Output.S3Uri"
FILE = {"PropertyFileName": "F", "OutputName": "o", "FilePath": "f.json"}
CLUSTER = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
PROCESSING = {
    "RoleArn": ROLE, "AppSpecification": {"ImageUri": "i"}, "ProcessingResources": {"ClusterConfig": CLUSTER},
}  # fmt: skip


def processing(**more: Any) -> dict[str, Any]:
    s3 = {"S3Uri": "s3://b/o", "LocalPath": "/opt/ml/processing/o", "S3UploadMode": "EndOfJob"}
    outputs = [{"OutputName": "out", "S3Output": s3}]
    return aws("Processing", "P", **PROCESSING, ProcessingOutputConfig={"Outputs": outputs}) | more


def join(content: Any) -> dict[str, Any]:
    return step(Arguments={"x": {"Std:Join": content}})


def json_get(**content: Any) -> dict[str, Any]:
    return step(Arguments={"x": {"Std:JsonGet": content}})


@pytest.mark.parametrize(("definition", "message"), [
    ("[]", "must be an object"),
    (text(), "no steps"),
    (text(1), "list of objects"),
    (text(step(name=5)), "5 is not a valid step name"),
    (text(step(), step()), "'A' stands twice"),
    (text(step(), Parameters=[1]), "list of objects"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Text"}]), "the type 'Text' is not one of parameters"),
    (text(step(), Parameters=[{"Name": "P", "Type": "String"}] * 2), "'P' stands twice"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": "x"}]), "'x' is not a valid Integer"),
    (text(step(), Parameters=[{"Name": "P", "Type": "Integer", "DefaultValue": True}]), "true is not a valid Integer"),
    (text(step(), Parameters=[{"Name": "P", "Type": "String", "DefaultValue": "c", "EnumValues": ["a"]}]), "none of"),
    (text(step(DependsOn="A")), "DependsOn must be a list"),
    (text(step(DependsOn=[{"Step": "A", "Trigger": "Late"}])), "trigger 'Late' is none of Completed"),
    (text(step(DependsOn=["B", {"Step": "B", "Trigger": "Failed"}])), "with the triggers Completed and Failed"),
    (text(condition(IfSteps=[step(DependsOn=[{"Step": "C", "Trigger": "Any"}])])), "stands under 'C'"),
    (text(step(DependsOn=[3])), "neither a name nor"),
    (text(step(DependsOn=["B"])), "'B', which is not a step"),
    (text(step(DependsOn=["A"])), "cycle"),
    (text(step(CacheConfig={"Enabled": "false"})), "Enabled is true or false"),
    (text(step(CacheConfig={"Enabled": True, "ExpireAfter": "soon"})), "not an ISO-8601 duration"),
    (text(step(RetryPolicies=[{"ExceptionType": "Step.THROTTLED"}])), "one or a list of"),
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
    (text({"Name": "E", "Type": "EMR"}), "exactly one of ClusterId and ClusterConfig"),
    (text({"Name": "C", "Type": "Callback"}), "it has no SqsQueueUrl"),
    (text(step(), Metadata=1), "Metadata must be an object"),
    (text(step(), Pipeline={}), "The definition: unknown member 'Pipeline'; known are"),
    (text(step(), Parameters=[{"Name": "P", "Default": 1}]), "Parameter 'P': unknown member 'Default'; did you mean"),
    (text(step(Argments={})), "Step 'A': unknown member 'Argments'; did you mean 'Arguments'"),
    (text(step(SqsQueueUrl="u")), "Step 'A': unknown member 'SqsQueueUrl'"),
    (text(step(CacheConfig={"Enable": True})), "CacheConfig: unknown member 'Enable'; did you mean 'Enabled'"),
    (text(step(RetryPolicies=[{"ExceptionType": ["Step.THROTTLING"], "MaxAttempt": 1}])), "did you mean 'MaxAttempts'"),
    (text(step(PropertyFiles=[{"PropertyFileName": "F", "OutputName": "o", "Path": "p"}])), "did you mean 'FilePath'"),
    (text(step(DependsOn=[{"Step": "B", "Triger": "Any"}])), r"DependsOn\[0\]: unknown member 'Triger'"),
    (text(step(OutputParameters=[{"OutputName": "a", "OutputType": "Int"}])), "did you mean 'Integer'"),
    (text(step(OutputParameters={})), "OutputParameters must be a list"),
    (text(step(DisplayName=3)), "DisplayName must be text"),
    (text(step(Arguments=[])), "Arguments must be an object"),
    (text(step(Type=3)), "Type must be text"),
    (text({"Name": "L", "Type": "Lambda"}), "it has no FunctionArn"),
    (text(condition({"Type": "Equals", "LeftValue": 1, "RightValue": 1, "Else": 1})), "unknown member 'Else'"),
    (text(condition({"Type": "Not", "Condition": {"Type": "Is"}})), r"Conditions\[0\].Condition: 'Is' is not a"),
    (text(condition(3)), "3 is not a condition"),
    (text(condition({"Type": "Equals", "LeftValue": 1, "RightValue": 1}, If=[])), "unknown member 'If'"),
    (text(join({"Values": [], "At": "/"})), "unknown member 'At'"),
    (text(join({"Values": [{"Get": "Parameters.P"}]})), r"Arguments.x.Std:Join.Values\[0\]: 'Parameters.P' names an"),
    (text(join({"Values": [], "On": 1})), "On of Std:Join must be text"),
    (text(json_get(Path="a", S3Uri={"Get": "Parameters.P"})), "x.Std:JsonGet.S3Uri: 'Parameters.P' names an unknown"),
    (text(step("F"), step(Arguments={"x": {"Get": "Steps.F"}})), "'Steps.F' names no property of step 'F'"),
    (text(step("F"), step(Arguments={"x": {"Get": "Steps.F.OutputParameters['a']"}})), "names no output parameter"),
    (text(step("F"), step(Arguments={"x": {"Get": "Steps.F.Output"}})), "the step has no property 'Output'"),
    (text(condition({"Type": "Or", "Conditions": []})), r"Conditions\[0\].Conditions must be a list with at least"),
    (text(step(Arguments={"x": {"Get": "Execution.TrainingJobName"}})), "has a value in Training steps alone"),
    (text(step(Arguments={"x": {"Get": "ForEach.CurrentItem"}})), "begins with neither"),
    (text(model(PrimaryContainer={"Image": {"Get": "Parameters.N"}}), Parameters=INTEGER), "type .String.: it is a"),
    (text(model(EnableNetworkIsolation={"Std:Join": {"Values": []}})), "Std:Join, which is text, to .* .Boolean."),
    (text(model(Tags={"Get": "Parameters.N"}), Parameters=INTEGER), "argument of type .List.: it is a Integer"),
    (text(model(PrimaryContainer="x")), "Value 'x' at 'Arguments.PrimaryContainer' is not an object"),
    (text(model(EnableNetworkIsolation=1)), "at 'Arguments.EnableNetworkIsolation' is not true or false"),
    (text(aws("BedrockCustomModel", ModelName="m", Role="r")), "unknown member 'Role'; did you mean 'RoleArn'"),
    (text(aws("BedrockModelImport", jobName="m")), "unknown member 'jobName'; did you mean 'JobName'"),
    (text(aws("Tuning")), "'Arguments.HyperParameterTuningJobConfig' failed to satisfy constraint"),
    (text(aws("Transform", ModelNam="m")), "unknown member 'ModelNam'; did you mean 'ModelName'"),
    (text(aws("Job", JobCategory="a")), "'Arguments.JobConfigDocument' failed to satisfy"),
    (text(aws("EMRServerless", JobConfig={}, ApplicationId="a", ApplicationConfig={})), "needs exactly one of Appl"),
    (text(aws("QualityCheck", ProcessingInput=[])), "unknown member 'ProcessingInput'; did you mean"),
    (text(aws("QualityCheck"), step(Arguments={"x": {"Get": "Steps.Q.Baseline"}})), "names an unknown step"),
    (text(aws("EMR", "E", ClusterId="j"), step(DependsOn=["F"])), "'F', which is not a step; known are E, A"),
    (text(aws("RegisterModel")), "Arguments has no ModelPackageGroupName"),
    (text(step(PropertyFiles=[FILE])), "PropertyFiles, which are for Processing steps; its type is Lambda"),
    (text(processing(PropertyFiles=[FILE])), "in the output 'o', which the step does not have; known are out"),
    (text(processing(), step(Arguments={"x": {"Get": OUTPUT.format("outs")}})), "no 'outs' there; did you mean 'out'"),
    ("[" * 100_000, "nested too deeply"),
])  # fmt: skip
def test_a_malformed_definition_is_refused(definition: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        checked(definition)


@pytest.mark.parametrize(("duration", "seconds"), [
    ("P30D", 30 * 86400), ("30d", 30 * 86400), ("T16m", 960), ("30dT5h", 30 * 86400 + 18000), ("PT1H", 3600),
    ("P4DT12H", 388800), ("p30d", 30 * 86400), ("5y", 5 * 365 * 86400), ("P1Y2M", 425 * 86400), ("P30M", 900 * 86400),
    ("P2W", 14 * 86400), ("T5S", 5),
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
    with pytest.raises(ConditionError, match="can be compared neither"):
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


@pytest.mark.parametrize(("kind", "left", "right", "outcome"), [
    ("NotEquals", 1, 2, True), ("NotEquals", "a", "a", False),
    ("GreaterThan", "2026-11-27T05:37:41.804Z", "2020-12-01", True),
    ("LessThan", "2020-12-01T01:00:00+02:00", "2020-12-01T00:00:00Z", True),
    ("LessThanOrEqualTo", "2020-12-01", "2020-12-01", True),
    ("GreaterThanOrEqualTo", "5", 4, True), ("LessThan", "10", "9", False),
])  # fmt: skip
def test_numbers_and_dates_are_compared(kind: str, left: Any, right: Any, outcome: bool) -> None:
    assert holds({"Type": kind, "LeftValue": left, "RightValue": right}) is outcome


def test_not_in_is_the_opposite_of_in() -> None:
    for values in ([1, 2], [3]):
        found = holds({"Type": "In", "QueryValue": 1, "Values": values})
        assert holds({"Type": "NotIn", "QueryValue": 1, "Values": values}) is not found


@pytest.mark.parametrize("path", [
    "Tune.TrainingJobSummaries[0].TrainingJobName", "Tune.BestTrainingJob.TrainingJobName",
    "Check.BaselineUsedForDriftCheckStatistics", "Each.ChildOutputs[0].OutputParameters['a']",
    "Import.ImportedModelArn", "Ask.OutputParameters['answer']",
])  # fmt: skip
def test_what_steps_on_aws_answer_can_be_referred_to(path: str) -> None:
    tuning = {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random", "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        },
    }  # fmt: skip
    checks = {"CheckType": "DATA_QUALITY", "SkipCheck": False, "SuppliedBaselineStatistics": None}
    imports = {
        "JobName": "j", "ImportedModelName": "m", "RoleArn": ROLE,
        "ModelDataSource": {"S3DataSource": {"S3Uri": "s3://bucket/key"}},
    }  # fmt: skip
    outputs = {"OutputParameters": [{"OutputName": "answer", "OutputType": "String"}]}
    steps = [
        aws("Tuning", "Tune", **tuning),
        aws("QualityCheck", "Check", **PROCESSING) | checks,
        aws("ForEach", "Each", IterableItems={"Get": "Steps.Ask.OutputParameters['answer']"},
            ForEachBody=[step("B", Arguments={"item": {"Get": "ForEach.CurrentItem"}})]),
        aws("BedrockModelImport", "Import", **imports),
        {"Name": "Ask", "Type": "Callback", "SqsQueueUrl": "https://q"} | outputs,
    ]  # fmt: skip
    checked(text(*steps, step(Arguments={"x": {"Get": f"Steps.{path}"}})))


def test_every_step_type_of_the_language_is_in_the_table_of_the_engine() -> None:
    assert STEP_TYPES.keys() == members.STEP_TYPES.keys()
