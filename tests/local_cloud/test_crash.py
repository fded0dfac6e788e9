"""A local cloud that is killed finds, at its next start, what it had promised, and makes it true."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from local_cloud_in_use import kill
from pipeline_runs import BUCKET, client, definition, make_role, processing_step, training_step, wait_for
from tried import tries

from local_cloud import process
from local_cloud.process import Running

ALL = ["sagemaker:*", "s3:*", "logs:*", "iam:PassRole"]


def start(cloud: Running, name: str, text: str) -> str:
    client(cloud, "s3").create_bucket(Bucket=BUCKET)
    role = make_role(client(cloud, "iam"), "everything", ALL, ["*"])
    sagemaker = client(cloud, "sagemaker")
    sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text.replace("ROLE", role), RoleArn=role)
    arn: str = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    return arn


def steps_of(cloud: Running, arn: str) -> dict[str, dict[str, Any]]:
    steps = client(cloud, "sagemaker").list_pipeline_execution_steps(PipelineExecutionArn=arn)
    return {step["StepName"]: step for step in steps["PipelineExecutionSteps"]}


def test_a_killed_local_cloud_goes_on_where_it_was(mortal: Running) -> None:
    first = processing_step("First", "ROLE", "date > /opt/ml/processing/out/first")
    second = training_step("ROLE", "sleep 9; date > /opt/ml/model/weights") | {"DependsOn": ["First"]}
    arn = start(mortal, "killed", definition(first, second))
    eventually("Train is under way", lambda: steps_of(mortal, arn).get("Train", {}).get("StepStatus") == "Executing")
    before = steps_of(mortal, arn)
    kill(mortal)
    cloud = process.start(mortal.state)
    execution, after = wait_for(client(cloud, "sagemaker"), arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded", after
    assert after["First"] == before["First"]
    assert after["Train"]["StepStatus"] == "Succeeded"


def test_a_bucket_that_cloudformation_deleted_stays_deleted(mortal: Running) -> None:
    cloudformation, s3 = client(mortal, "cloudformation"), client(mortal, "s3")
    template = '{"Resources": {"Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "gone"}}}}'
    cloudformation.create_stack(StackName="gone", TemplateBody=template)
    eventually("the bucket is there", lambda: s3.list_buckets()["Buckets"] != [])
    s3.put_object(Bucket="gone", Key="folder/object", Body=b"1")
    s3.delete_object(Bucket="gone", Key="folder/object")
    cloudformation.delete_stack(StackName="gone")
    eventually("the bucket is gone", lambda: s3.list_buckets()["Buckets"] == [])
    process.stop(mortal.state)
    assert client(process.start(mortal.state), "s3").list_buckets()["Buckets"] == []


def test_no_job_outlives_a_killed_local_cloud(mortal: Running) -> None:
    arn = start(mortal, "orphan", definition(processing_step("Sleeps", "ROLE", "exec sleep 4242")))
    eventually("the job has started", lambda: "Metadata" in steps_of(mortal, arn).get("Sleeps", {}))
    eventually("its process is there", lambda: sleepers() != [])
    os.kill(mortal.pid, signal.SIGKILL)
    eventually("its process is gone", lambda: sleepers() == [])


def sleepers() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if (entry / "cmdline").read_bytes() == b"sleep\x004242\0":
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@tries("sagemaker.CreateTrainingJob", "EnableManagedSpotTraining StoppingCondition.MaxWaitTimeInSeconds")
def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(mortal: Running, number: signal.Signals) -> None:
    script = (
        "echo started >> /opt/ml/checkpoints/starts; "
        "if [ $(wc -l < /opt/ml/checkpoints/starts) -lt 2 ]; then exec sleep 60; fi; "
        "cp /opt/ml/checkpoints/starts /opt/ml/model/"
    )
    step = training_step(
        "ROLE",
        script,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/checkpoints/lane"},
    )
    arn = start(mortal, "spot", definition(step))
    eventually("the job has started", lambda: "Metadata" in steps_of(mortal, arn).get("Train", {}))
    name = steps_of(mortal, arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    s3 = client(mortal, "s3")
    eventually(
        "a checkpoint is in S3",
        lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/lane/").get("KeyCount", 0) > 0,
    )
    process.interrupt(mortal.state, name, number)
    execution, steps = wait_for(client(mortal, "sagemaker"), arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    job = client(mortal, "sagemaker").describe_training_job(TrainingJobName=name)
    assert [item["Status"] for item in job["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading", "Training", "Uploading",
        "Completed",
    ]  # fmt: skip
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
