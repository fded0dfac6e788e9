"""Pipelines run as their definitions say; every job here is a real process, every permission a real policy."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import definition, make_role, processing_step, read, run, training_step, wait_for
from tried import tries

Connect = Callable[[str], Any]

WRITE = 'echo \'{"accuracy": {"value": 0.75}}\' > /opt/ml/processing/out/figures.json'


def output_of(steps: dict[str, dict[str, Any]], connect: Connect, name: str, file: str) -> bytes:
    job = steps[name]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    description = connect("sagemaker").describe_processing_job(ProcessingJobName=job)
    uri = description["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    return read(connect("s3"), f"{uri}/{file}")


def following_input(step: str) -> dict[str, Any]:
    uri = {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
    s3_input = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/in", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": "in", "S3Input": s3_input}


def test_a_step_reads_what_an_earlier_step_wrote(connect: Connect, role: str) -> None:
    text = definition(
        processing_step("Second", role, "cat /opt/ml/processing/in/a.txt > /opt/ml/processing/out/b.txt",
                        inputs=[following_input("First")]),
        processing_step("First", role, "echo hello > /opt/ml/processing/out/a.txt"),
    )  # fmt: skip
    execution, steps = run(connect("sagemaker"), "two-steps", text, role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    assert output_of(steps, connect, "Second", "b.txt") == b"hello\n"


def test_a_failing_script_fails_the_execution_with_its_message(connect: Connect, role: str) -> None:
    script = "echo 'no images found' > /opt/ml/output/message; exit 3"
    execution, steps = run(connect("sagemaker"), "failing", definition(processing_step("Bad", role, script)), role)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    assert steps["Bad"]["FailureReason"] == "AlgorithmError: no images found, exit code: 3"


def test_a_killed_process_has_the_exit_code_and_the_words_of_sagemaker(connect: Connect, role: str) -> None:
    """For a training and a processing job; a script's own last words come before the guess."""
    words = "echo 'no more memory' > /opt/ml/output/message; kill -9 $$"
    text = definition(
        processing_step("Killed", role, "kill -9 $$"),
        processing_step("Spoke", role, words),
        training_step(role, "kill -9 $$") | {"Name": "Train"},
    )
    _, steps = run(connect("sagemaker"), "killed", text, role)
    for name in ("Killed", "Train"):
        reason = steps[name]["FailureReason"]
        assert reason.startswith("ClientError: Please use an instance type with more memory, or reduce the size of job")
        assert "most likely for lack of memory\nhint: " in reason
        assert reason.endswith(", exit code: 137")
    assert steps["Spoke"]["FailureReason"] == "AlgorithmError: no more memory, exit code: 137"


def test_a_lane_that_failed_does_not_sink_the_other(connect: Connect, role: str) -> None:
    """Both lanes are waited for whatever their end; what needs a model waits for the step that looks which there is."""
    lanes = [
        training_step(role, script) | {"Name": name}
        for name, script in [("TrainSpot", "exit 1"), ("TrainOnDemand", "echo 1 > /opt/ml/model/weights")]
    ]
    either = [{"Step": lane["Name"], "Trigger": "Any"} for lane in lanes]
    text = definition(
        *lanes,
        processing_step("Candidates", role, "true", DependsOn=either),
        processing_step("Evaluate", role, "true", DependsOn=["Candidates"]),
        processing_step("Spot", role, "true", DependsOn=["TrainSpot"]),
    )
    execution, steps = run(connect("sagemaker"), "lanes", text, role)
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert {name: step["StepStatus"] for name, step in steps.items()} == {
        "TrainSpot": "Failed", "TrainOnDemand": "Succeeded", "Candidates": "Succeeded", "Evaluate": "Succeeded",
    }  # fmt: skip


def condition(threshold: Any) -> dict[str, Any]:
    figures = {"PropertyFile": {"Get": "Steps.Measure.PropertyFiles.Figures"}, "Path": "accuracy.value"}
    return {
        "Name": "Check", "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "GreaterThanOrEqualTo", "LeftValue": {"Std:JsonGet": figures},
                            "RightValue": threshold}],
            "IfSteps": [{"Name": "Good", "Type": "Fail", "Arguments": {"ErrorMessage": "it was good"}}],
            "ElseSteps": [{"Name": "Poor", "Type": "Fail", "Arguments": {"ErrorMessage": {"Std:Join": {
                "On": " ", "Values": ["only", {"Std:JsonGet": figures}, "of", threshold]}}}}],
        },
    }  # fmt: skip


def measure(role: str) -> dict[str, Any]:
    files = [{"PropertyFileName": "Figures", "OutputName": "out", "FilePath": "figures.json"}]
    return processing_step("Measure", role, WRITE, PropertyFiles=files)


@pytest.mark.parametrize(("threshold", "taken", "message"), [
    ("0.5", "Good", "it was good"),
    ("0.9", "Poor", "only 0.75 of 0.9"),
])  # fmt: skip
def test_a_condition_takes_one_branch(connect: Connect, role: str, threshold: str, taken: str, message: str) -> None:
    parameters = [{"Name": "Threshold", "Type": "Float"}]
    text = definition(measure(role), condition({"Get": "Parameters.Threshold"}), parameters=parameters)
    _, steps = run(connect("sagemaker"), "conditional", text, role, {"Threshold": threshold})
    assert set(steps) == {"Measure", "Check", taken}
    assert steps[taken]["FailureReason"] == message


def test_a_large_property_file_is_refused_with_what_to_do(connect: Connect, role: str) -> None:
    """AWS names no limit, so that a report which grows with the data set would fail there one day."""
    write = WRITE + "; head -c 65536 /dev/zero | tr '\\0' ' ' >> /opt/ml/processing/out/figures.json"
    step = measure(role) | {"Arguments": processing_step("Measure", role, write)["Arguments"]}
    _, steps = run(connect("sagemaker"), "large-figures", definition(step, condition(0.5)), role)
    reason = steps["Check"]["FailureReason"]
    assert "figures.json has 65,566 bytes, and the local cloud reads at most 65,536 for Std:JsonGet" in reason
    assert "hint: have the step write the values that other steps read into a small file" in reason


def test_an_unchanged_step_comes_from_the_cache(connect: Connect, role: str) -> None:
    step = processing_step("Once", role, "date +%s%N > /opt/ml/processing/out/time.txt")
    step["CacheConfig"] = {"Enabled": True, "ExpireAfter": "P30D"}
    _, first = run(connect("sagemaker"), "cached", definition(step), role)
    _, second = run(connect("sagemaker"), "cached", definition(step), role)
    step["Arguments"]["Environment"] = {"CHANGED": "1"}
    _, third = run(connect("sagemaker"), "cached", definition(step), role)
    assert "CacheHitResult" not in first["Once"]
    assert "/execution/" in second["Once"]["CacheHitResult"]["SourcePipelineExecutionArn"]
    assert "CacheHitResult" not in third["Once"]


def test_the_job_role_is_enforced(connect: Connect, role: str) -> None:
    reader = make_role(connect("iam"), "reader", ["s3:GetObject", "s3:ListBucket", "logs:*"], ["*"])
    _, steps = run(connect("sagemaker"), "reading", definition(processing_step("Write", reader, WRITE)), role)
    assert "is not authorized to perform: s3:PutObject" in steps["Write"]["FailureReason"]


def test_the_pipeline_role_is_enforced(connect: Connect, role: str) -> None:
    poor = make_role(connect("iam"), "poor", ["sagemaker:DescribeProcessingJob"], ["*"])
    _, steps = run(connect("sagemaker"), "poor", definition(processing_step("Write", role, WRITE)), poor)
    assert "sagemaker:CreateProcessingJob" in steps["Write"]["FailureReason"]


def test_passing_a_role_needs_the_permission_to_pass_it(connect: Connect, role: str) -> None:
    poor = make_role(connect("iam"), "no-pass", ["sagemaker:*"], ["*"])
    _, steps = run(connect("sagemaker"), "no-pass", definition(processing_step("Write", role, WRITE)), poor)
    assert "iam:PassRole" in steps["Write"]["FailureReason"]


def test_a_role_is_assumed_only_for_the_sources_its_trust_policy_names(connect: Connect, role: str) -> None:
    source = "arn:aws:sagemaker:us-east-1:000000000000:training-job/*"
    trainer = make_role(connect("iam"), "trainer", ["s3:*", "logs:*"], ["*"], source)
    _, steps = run(connect("sagemaker"), "foreign", definition(processing_step("Write", trainer, WRITE)), role)
    assert "Could not assume role" in steps["Write"]["FailureReason"]


def test_a_training_job_has_its_files_its_artifact_and_its_metrics(connect: Connect, role: str) -> None:
    script = (
        "cp /opt/ml/input/config/hyperparameters.json /opt/ml/model/; echo accuracy=0.5; echo accuracy=0.75; "
        "echo a line for the log"
    )
    _, steps = run(connect("sagemaker"), "training", definition(training_step(role, script)), role)
    name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    job = connect("sagemaker").describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed", job
    assert [metric["Value"] for metric in job["FinalMetricDataList"]] == [0.75]
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"{name}/output/model.tar.gz")
    points = accuracies(connect, job)
    assert max(point["Maximum"] for point in points) == 0.75
    assert sum(point["SampleCount"] for point in points) == 2
    events = connect("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=name)[
        "events"
    ]
    assert "a line for the log" in [event["message"] for event in events]


def accuracies(connect: Connect, job: dict[str, Any]) -> list[dict[str, Any]]:
    """What CloudWatch has of the metric that `training_step` defines."""
    answer = connect("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="validation:accuracy",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"] - timedelta(minutes=1),
        EndTime=job["CreationTime"] + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum", "SampleCount"],
    )
    points: list[dict[str, Any]] = answer["Datapoints"]
    return points


def test_a_job_role_that_may_count_in_the_training_namespace_only_counts(connect: Connect, role: str) -> None:
    trainer = make_role(connect("iam"), "counts-training", ["s3:*", "logs:*"], ["*"])
    allow = {
        "Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
        "Condition": {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    connect("iam").put_role_policy(RoleName="counts-training", PolicyName="metrics", PolicyDocument=document)
    _, steps = run(connect("sagemaker"), "counted", definition(training_step(trainer, "echo accuracy=0.5")), role)
    name = steps["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    job = connect("sagemaker").describe_training_job(TrainingJobName=name)
    assert [point["Maximum"] for point in accuracies(connect, job)] == [0.5]


def test_an_image_without_a_local_counterpart_is_named_before_any_step_runs(connect: Connect, role: str) -> None:
    step = processing_step("Odd", role, "true")
    step["Arguments"]["AppSpecification"]["ImageUri"] = "1.dkr.ecr.us-east-1.amazonaws.com/churn:1.7"
    with pytest.raises(ClientError, match=r"Step 'Odd': .*churn:1\.7 has no local counterpart"):
        run(connect("sagemaker"), "odd-image", definition(step), role)


def test_a_job_sees_only_what_its_image_has(connect: Connect, role: str) -> None:
    step = processing_step("Import", role, "python3 -c 'import numpy, json; import boto3'")
    _, steps = run(connect("sagemaker"), "imports", definition(step), role)
    assert steps["Import"]["StepStatus"] == "Failed"
    name = steps["Import"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    events = connect("logs").filter_log_events(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)[
        "events"
    ]
    assert events[-1]["message"] == "ModuleNotFoundError: No module named 'boto3'"


def test_the_same_token_starts_one_execution(connect: Connect, role: str) -> None:
    sagemaker = connect("sagemaker")
    sagemaker.create_pipeline(
        PipelineName="once", PipelineDefinition=definition(processing_step("A", role, "true")), RoleArn=role
    )
    token = "t" * 32
    arns = {
        sagemaker.start_pipeline_execution(PipelineName="once", ClientRequestToken=token)["PipelineExecutionArn"]
        for _ in range(3)
    }
    assert len(arns) == 1


def test_a_bad_definition_is_refused_and_the_pipeline_stays(connect: Connect, role: str) -> None:
    sagemaker = connect("sagemaker")
    good = definition(processing_step("A", role, "true"))
    sagemaker.create_pipeline(PipelineName="stays", PipelineDefinition=good, RoleArn=role)
    bad = json.loads(good)
    bad["Steps"][0]["DependsOn"] = ["Nowhere"]
    with pytest.raises(ClientError, match=r"Unable to parse pipeline definition.*'Nowhere', which is not a step"):
        sagemaker.update_pipeline(PipelineName="stays", PipelineDefinition=json.dumps(bad))
    assert sagemaker.describe_pipeline(PipelineName="stays")["PipelineDefinition"] == good


@tries("sagemaker.StopPipelineExecution", "PipelineExecutionArn")
def test_a_stopped_execution_stops_its_job(connect: Connect, role: str) -> None:
    sagemaker = connect("sagemaker")
    text = definition(processing_step("Long", role, "exec sleep 100"))
    sagemaker.create_pipeline(PipelineName="stopped", PipelineDefinition=text, RoleArn=role)
    arn = sagemaker.start_pipeline_execution(PipelineName="stopped")["PipelineExecutionArn"]
    while not sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]:
        time.sleep(0.05)  # a stop before the first step began leaves no step
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    execution, steps = wait_for(sagemaker, arn)
    assert execution["PipelineExecutionStatus"] == "Stopped"
    assert steps.get("Long", {}).get("StepStatus") == "Stopped"
