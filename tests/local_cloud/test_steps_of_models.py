"""Model, EndpointConfig and Endpoint steps, as the SDK writes them: what they make serves."""

import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_runs import BUCKET, IMAGE, definition, run, training_step

from local_cloud.process import Running

Connect = Callable[[str], Any]
SERVER = (
    "import json\n"
    "def model_fn(folder): return open(folder + '/weights').read()\n"
    "def input_fn(body, kind): return body\n"
    "def predict_fn(data, model): import os; return [model, os.environ['GIVEN']]\n"
    "def output_fn(answer, accept): return json.dumps(answer)\n"
)
TRAIN = "cd /opt/ml/model; echo -n trained > weights; cp -r ../input/data/code code"


def model_step(role: str, data: Any, **more: Any) -> dict[str, Any]:
    """As ModelStep of the SDK writes it: a container, with the program's variables."""
    container = {"Image": IMAGE, "ModelDataUrl": data, "Mode": "SingleModel", "Environment": {"GIVEN": "a value"}}
    arguments = {"ExecutionRoleArn": role, "PrimaryContainer": container}
    return {"Name": "Make-CreateModel", "Type": "Model", "Arguments": arguments | more}


def config_step(name: str) -> dict[str, Any]:
    variant = {
        "VariantName": "AllTraffic", "ModelName": {"Get": "Steps.Make-CreateModel.ModelName"},
        "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
    }  # fmt: skip
    return {
        "Name": "Configure",
        "Type": "EndpointConfig",
        "Arguments": {"EndpointConfigName": name, "ProductionVariants": [variant]},
    }


def endpoint_step(name: str) -> dict[str, Any]:
    config = {"Get": "Steps.Configure.EndpointConfigName"}
    return {"Name": "Serve", "Type": "Endpoint", "Arguments": {"EndpointName": name, "EndpointConfigName": config}}


def archive(connect: Connect, key: str, weights: str) -> str:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in (("weights", weights), ("code/inference.py", SERVER)):
            data = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    connect("s3").put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())
    return f"s3://{BUCKET}/{key}"


def test_what_was_trained_is_made_a_model_and_served(connect: Connect, role: str) -> None:
    connect("s3").put_object(Bucket=BUCKET, Key="serving/inference.py", Body=SERVER.encode())
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/serving/"}}
    channels = [{"ChannelName": "code", "DataSource": source}]
    data = {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}
    text = definition(
        training_step(role, TRAIN, InputDataConfig=channels),
        model_step(role, data),
        config_step("trained"),
        endpoint_step("trained"),
    )
    sagemaker = connect("sagemaker")
    execution, steps = run(sagemaker, "train-and-serve", text, role, seconds=120)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    made = steps["Make-CreateModel"]["Metadata"]["Model"]["Arn"]
    name = made.rpartition("/")[2]
    identifier = execution["PipelineExecutionArn"].rpartition("/")[2]
    assert name.startswith(f"pipelines-{identifier}-Make-CreateModel-")
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=made)["Tags"]}
    assert tags["sagemaker:pipeline-execution-arn"] == execution["PipelineExecutionArn"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName="trained")["ProductionVariants"]
    assert variants[0]["ModelName"] == name
    assert set(steps["Serve"]["Metadata"]) == {"Endpoint"}
    answer = connect("sagemaker-runtime").invoke_endpoint(EndpointName="trained", Body=b"x")
    assert json.loads(answer["Body"].read()) == ["trained", "a value"]


def test_an_endpoint_that_is_there_is_updated(connect: Connect, role: str) -> None:
    sagemaker = connect("sagemaker")
    for number in ("1", "2"):
        data = archive(connect, f"served/{number}/model.tar.gz", number)
        text = definition(model_step(role, data), config_step(f"served-{number}"), endpoint_step("served"))
        execution, steps = run(sagemaker, "serve-again", text, role, seconds=120)
        assert execution["PipelineExecutionStatus"] == "Succeeded", steps
        answer = connect("sagemaker-runtime").invoke_endpoint(EndpointName="served", Body=b"x")
        assert json.loads(answer["Body"].read())[0] == number


def test_an_endpoint_that_does_not_come_up_fails_its_step(connect: Connect, role: str) -> None:
    connect("s3").put_object(Bucket=BUCKET, Key="broken/model.tar.gz", Body=b"no archive")
    text = definition(
        model_step(role, f"s3://{BUCKET}/broken/model.tar.gz"), config_step("broken"), endpoint_step("broken")
    )
    execution, steps = run(connect("sagemaker"), "serve-broken", text, role, seconds=120)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["Serve"]["FailureReason"].startswith("ClientError: The endpoint broken is Failed: ")


def test_a_name_that_is_taken_fails_the_step(connect: Connect, role: str) -> None:
    data = archive(connect, "taken/model.tar.gz", "1")
    text = definition(model_step(role, data), config_step("taken"))
    sagemaker = connect("sagemaker")
    assert run(sagemaker, "taken", text, role)[0]["PipelineExecutionStatus"] == "Succeeded"
    execution, steps = run(sagemaker, "taken", text, role)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert "Cannot create already existing endpoint configuration" in steps["Configure"]["FailureReason"]


@pytest.mark.parametrize("prefix", ["mine", "a" * 63])
def test_a_model_name_is_the_prefix_of_the_name(connect: Connect, role: str, prefix: str) -> None:
    data = archive(connect, "prefixed/model.tar.gz", "1")
    _, steps = run(connect("sagemaker"), "prefixed", definition(model_step(role, data, ModelName=prefix)), role)
    name = steps["Make-CreateModel"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert name.startswith(f"{prefix[:37]}-")
    assert len(name) <= 63


def test_what_was_made_when_the_answer_was_lost_is_not_made_again(cloud: Running, connect: Connect, role: str) -> None:
    rules = [
        f'[[fault]]\noperation = "{name}"\nkind = "lost-answer"\ntimes = 1\n'
        for name in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint")
    ]
    file = cloud.state / "sagemaker" / "faults.toml"
    file.write_text("\n".join(rules))
    try:
        text = definition(
            model_step(role, archive(connect, "lost/model.tar.gz", "1")), config_step("lost"), endpoint_step("lost")
        )
        execution, steps = run(connect("sagemaker"), "made-once", text, role, seconds=120)
    finally:
        file.unlink()
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    assert {step["AttemptCount"] for step in steps.values()} == {0}
