"""Forms that AWS documents, or its SDK writes, have their effect in a run."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import InProcess, Refused
from pipeline_runs import BUCKET, definition, processing_step, read, run, training_step

Connect = Callable[[str], Any]
FAIL = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "enough"}}
EMR = {"Name": "Sort", "Type": "EMR", "Arguments": {"ClusterId": "j-1", "StepConfig": {"HadoopJarStep": {}}}}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[InProcess]:
    service = InProcess(tmp_path)
    yield service
    service.service.stop()


def written(connect: Connect, steps: dict[str, Any], step: str, file: str) -> str:
    job = steps[step]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    described = connect("sagemaker").describe_processing_job(ProcessingJobName=job)
    uri = described["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    return read(connect("s3"), f"{uri}/{file}").decode()


def test_a_job_is_told_its_own_name(connect: Connect, role: str) -> None:
    processing = processing_step("Told", role, "echo -n $NAME > /opt/ml/processing/out/name")
    processing["Arguments"]["Environment"] = {"NAME": {"Get": "Execution.ProcessingJobName"}}
    name = {"Get": "Execution.TrainingJobName"}
    training = training_step(role, "true", HyperParameters={"job": name})
    execution, steps = run(connect("sagemaker"), "own-names", definition(processing, training), role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    job = steps["Told"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    assert written(connect, steps, "Told", "name") == job
    job = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    assert connect("sagemaker").describe_training_job(TrainingJobName=job)["HyperParameters"] == {"job": job}


@pytest.mark.parametrize("prefix", ["birds", {"Get": "Parameters.Prefix"}])
def test_a_job_name_in_the_arguments_is_the_prefix_of_the_name(connect: Connect, role: str, prefix: Any) -> None:
    parameters = [{"Name": "Prefix", "DefaultValue": "birds"}]
    text = definition(training_step(role, "true", TrainingJobName=prefix), parameters=parameters)
    execution, steps = run(connect("sagemaker"), "prefixed-jobs", text, role)
    identifier = execution["PipelineExecutionArn"].rsplit("/", 1)[1]
    name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    assert name.startswith(f"birds-{identifier}-")
    assert name.endswith("-0")


def test_the_words_that_describe_a_step_are_listed(service: InProcess) -> None:
    service.create("p", FAIL | {"DisplayName": "The end", "Description": "Nothing goes on."})
    _, steps = service.end_of(service.start("p"))
    assert (steps["Stop"]["StepDisplayName"], steps["Stop"]["StepDescription"]) == ("The end", "Nothing goes on.")


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"PipelineExperimentConfig": None}, None),
        ({}, {"ExperimentName": "birds", "TrialName": "<id>"}),
        (
            {"PipelineExperimentConfig": {
                "ExperimentName": {"Get": "Execution.PipelineName"},
                "TrialName": {"Get": "Execution.PipelineExecutionId"},
            }},
            {"ExperimentName": "birds", "TrialName": "<id>"},
        ),
        (
            {"PipelineExperimentConfig": {
                "ExperimentName": {"Get": "Parameters.E"}, "TrialName": {"Std:Join": {"On": "-", "Values": ["a", "b"]}},
            }},
            {"ExperimentName": "Nests", "TrialName": "a-b"},
        ),
    ],
)  # fmt: skip
def test_an_execution_belongs_to_the_experiment_of_its_definition(
    service: InProcess, config: dict[str, Any], names: dict[str, str] | None
) -> None:
    service.create("Birds", FAIL, Parameters=[{"Name": "E", "DefaultValue": "Nests"}], **config)
    arn = service.start("Birds")
    found = service.call("DescribePipelineExecution", PipelineExecutionArn=arn).get("PipelineExperimentConfig")
    assert json.loads(json.dumps(found).replace(arn.rsplit("/", 1)[1], "<id>")) == names


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"PipelineExperimentConfig": {"Experiment": "a"}}, "did you mean 'ExperimentName'"),
        ({"PipelineExperimentConfig": "a"}, "at 'PipelineExperimentConfig' is not an object"),
        ({"PipelineExperimentConfig": {"TrialName": {"Get": "Parameters.No"}}}, "'Parameters.No' names an unknown"),
        ({"MlflowConfig": {"MlflowResourceArn": "a"}}, "MlflowConfig: the local cloud has no MLflow"),
    ],
)  # fmt: skip
def test_a_wrong_experiment_is_refused(service: InProcess, config: dict[str, Any], problem: str) -> None:
    def create_and_start() -> None:
        service.create("p", FAIL, **config)
        service.start("p")

    with pytest.raises(Refused, match=problem):
        create_and_start()


def test_a_step_that_runs_on_aws_only_is_named_before_any_step_runs(service: InProcess) -> None:
    inside = {"Name": "Choose", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}], "IfSteps": [FAIL], "ElseSteps": [EMR],
    }}  # fmt: skip
    service.create("p", {"Name": "Ask", "Type": "Callback", "SqsQueueUrl": "https://q", "Arguments": {}}, inside)
    with pytest.raises(Refused, match=r"Step 'Ask': Callback steps run on AWS only\. Step 'Sort': EMR steps"):
        service.start("p")
    assert service.call("ListPipelineExecutions", PipelineName="p")["PipelineExecutionSummaries"] == []


def test_a_cache_that_the_local_cloud_does_not_keep_is_named(service: InProcess) -> None:
    step = {"Name": "L", "Type": "Lambda", "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}
    service.create("p", step | {"CacheConfig": {"Enabled": True}})
    with pytest.raises(Refused, match="Step 'L': CacheConfig: the local cloud does not cache Lambda steps"):
        service.start("p")


def test_a_limit_is_found_in_what_a_parameter_gives(service: InProcess) -> None:
    step = processing_step("A", "arn:aws:iam::000000000000:role/everything", "true")
    step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = {"Get": "Parameters.N"}
    service.create("p", step, Parameters=[{"Name": "N", "Type": "Integer", "DefaultValue": 1}])
    with pytest.raises(Refused, match="Step 'A': The local cloud runs processing jobs on one instance only"):
        service.start("p", PipelineParameters=[{"Name": "N", "Value": "2"}])


def test_a_value_of_the_wrong_type_fails_its_step_in_plain_words(connect: Connect, role: str) -> None:
    """Of what type a JsonGet is, only the file says."""
    key = "forms/number.json"
    connect("s3").put_object(Bucket=BUCKET, Key=key, Body=b'{"a": 5}')
    step = processing_step("A", role, "true")
    step["Arguments"]["Environment"] = {"X": {"Std:JsonGet": {"S3Uri": f"s3://{BUCKET}/{key}", "Path": "a"}}}
    _, steps = run(connect("sagemaker"), "wrong-type", definition(step), role)
    assert steps["A"]["FailureReason"] == (
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: Value 5 at "
        "'Arguments.Environment.X' is not text. (ValidationException)"
    )


def test_a_null_member_is_an_absent_one(connect: Connect, role: str) -> None:
    step = processing_step("A", role, "true", CacheConfig=None, DisplayName=None)
    step["Arguments"] |= {"Environment": None, "NetworkConfig": {"VpcConfig": None}}
    execution, steps = run(connect("sagemaker"), "nulls", definition(step), role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
