"""Cases r01, r02 and r03 in a real local cloud: people change endpoint and registry by hand, then type commands.

Commands, SageMaker, its endpoint and the queue are real processes. The stack is a template of this test's own, and the
function that deploys runs in a thread here, which the deployed app has in tests/end_to_end/test_steering.py.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_cloud_in_use import bucket, cloud, connect, role
from pipeline_runs import BUCKET, definition, processing_step, wait_for
from scripted_aws import OUTPUTS
from scripted_cloud import Result

import deploy_model.endpoint
from deploy_model.environment import Environment
from deploy_model.handler import handle_batch
from local_cloud.process import Running
from store_model.handler import Judged, store

__all__ = ["bucket", "cloud", "connect", "role"]  # fixtures, beside those below
pytestmark = pytest.mark.timeout(600)

NAME = "headrace-local"
HEADRACE = Path(sys.executable).with_name("headrace")
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
INFERENCE = """\
import json
def model_fn(folder): return None
def input_fn(body, kind): return body
def predict_fn(body, model): return "cat"
def output_fn(label, accept): return json.dumps({"predictions": [{"label": label, "probability": 1.0}]})
"""
CONFUSION = {"cat": {"cat": 9, "dog": 1}, "dog": {"cat": 2, "dog": 8}}
REPORT = {"multiclass_classification_metrics": {"accuracy": {"value": 0.85}, "confusion_matrix": CONFUSION}}


@pytest.fixture(scope="module")
def stack(connect: Callable[[str], Any], bucket: str, role: str) -> Iterator[list[str]]:
    """The stack with its queues, three versions, and the function that serves them; gives the messages it handled."""
    queues = {name: {"Ref": name[:-3]} for name in OUTPUTS if name.endswith("QueueUrl")}
    outputs = OUTPUTS | {"DataBucketName": BUCKET, "ModelPackageGroupName": NAME, "NoticeTopicArn": {"Ref": "Topic"}}
    resources = {name[:-3]: {"Type": "AWS::SQS::Queue"} for name in queues} | {"Topic": {"Type": "AWS::SNS::Topic"}}
    template = {
        "Resources": resources,
        "Outputs": {name: {"Value": value} for name, value in (outputs | queues).items()},
    }
    cloudformation, sqs = connect("cloudformation"), connect("sqs")
    cloudformation.create_stack(StackName=NAME, TemplateBody=json.dumps(template))
    while (found := cloudformation.describe_stacks(StackName=NAME)["Stacks"][0])["StackStatus"] != "CREATE_COMPLETE":
        time.sleep(0.1)
    urls = {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}
    decisions = str(urls["DecisionQueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=decisions, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=decisions, Attributes={"Policy": json.dumps(policy)})
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved", "Rejected"]}}
    connect("events").put_rule(Name="decided", EventPattern=json.dumps(pattern))
    connect("events").put_targets(Rule="decided", Targets=[{"Id": "queue", "Arn": arn}])
    _register(connect, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deploy_model.endpoint, "RECHECK_SECONDS", 1)
        ending = threading.Event()
        environment = Environment.from_variables(
            {
                "ENDPOINT_NAME": NAME,
                "ENDPOINT_ROLE_ARN": role,
                "MODEL_PACKAGE_GROUP_NAME": NAME,
                "MODEL_PACKAGE_GROUP_ARN": f"arn:aws:sagemaker:us-east-1:000000000000:model-package-group/{NAME}",
                "ENDPOINT_INSTANCE_TYPE": "ml.m5.large",
                "ENDPOINT_INSTANCE_COUNT": "1",
                "QUEUE_URL": decisions,
                "DEAD_LETTER_QUEUE_URL": urls["DecisionDeadLetterQueueUrl"],
                "NOTICES_QUEUE_URL": urls["NoticeQueueUrl"],
            }
        )
        handled: list[str] = []
        worker = threading.Thread(target=_serve, args=(sqs, decisions, environment, connect, handled, ending))
        worker.start()
        yield handled
        ending.set()
        worker.join()


def _register(connect: Callable[[str], Any], versions: int) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(INFERENCE)
        archive.addfile(entry, io.BytesIO(INFERENCE.encode()))
    sha256, size = hashlib.sha256(content.getvalue()).hexdigest(), len(content.getvalue())
    connect("s3").put_object(Bucket=BUCKET, Key="runs/1/model.tar.gz", Body=content.getvalue())
    stored = store(connect("s3"), BUCKET, Judged(f"s3://{BUCKET}/runs/1/model.tar.gz", sha256, size))
    variables = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    container = {"Image": IMAGE, "ModelDataUrl": stored["ModelDataUrl"], "Environment": variables}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["image/jpeg"],
        "SupportedResponseMIMETypes": ["application/json"],
        "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
    }
    connect("sagemaker").create_model_package_group(ModelPackageGroupName=NAME)
    for _ in range(versions):
        connect("sagemaker").create_model_package(
            ModelPackageGroupName=NAME,
            InferenceSpecification=specification,
            ModelApprovalStatus="PendingManualApproval",
            CustomerMetadataProperties={"ArtifactSha256": sha256, "ArtifactBytes": str(size)},
        )


def _serve(
    sqs: Any,
    queue: str,
    environment: Environment,
    connect: Callable[[str], Any],
    handled: list[str],
    ending: threading.Event,
) -> None:
    """What Lambda does with the queue."""
    while not ending.is_set():
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            attributes = {"ApproximateReceiveCount": "1"}
            record = {"messageId": "m", "receiptHandle": "r", "body": message["Body"], "attributes": attributes}
            assert handle_batch({"Records": [record]}, environment, connect) == {"batchItemFailures": []}
            handled.append(message["Body"])


@pytest.fixture
def headrace(cloud: Running, stack: list[str], tmp_path: Path) -> Callable[..., Result]:
    """Run a command in a separate process."""
    (tmp_path / "a.jpg").write_bytes(b"a cat")

    def run(*arguments: str, status: int = 0) -> Result:
        variables = os.environ | {"HEADRACE_STATE": str(cloud.state)}
        done = subprocess.run([HEADRACE, *arguments], cwd=tmp_path, env=variables, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def serves(headrace: Callable[..., Result], version: int) -> None:
    assert f"serves version {version}" in headrace("predict", "--wait", "200", "--interval", "0.3", "a.jpg").err
    assert headrace("status", "--json").data["differences"] == []


def test_approving_an_older_version_promises_nothing_and_a_rollback_serves_it(
    headrace: Callable[..., Result],
) -> None:
    """r03."""
    headrace("approve", "3")
    serves(headrace, 3)
    assert "version 3 stays served" in headrace("approve", "2").err
    assert "served now: version 3" in headrace("rollback", "--dry-run").err
    headrace("rollback")
    serves(headrace, 2)
    headrace("reject", "3", "--note", "one more event")
    serves(headrace, 2)


def test_a_deleted_endpoint_is_deployed_by_approving_its_version_once_more(
    headrace: Callable[..., Result], connect: Callable[[str], Any]
) -> None:
    """r01."""
    connect("sagemaker").delete_endpoint(EndpointName=NAME)
    deadline = time.monotonic() + 60
    while not (found := headrace("status", "--json").data["differences"]):
        assert time.monotonic() < deadline
    assert [item["command"] for item in found] == ["headrace repair"]
    assert "hint: headrace repair" in headrace("predict", "a.jpg", status=1).err
    assert "asked for its deployment" in headrace("approve", "2").err
    serves(headrace, 2)


def test_a_deleted_version_is_reported_and_repair_serves_the_one_before(
    headrace: Callable[..., Result], connect: Callable[[str], Any], stack: list[str]
) -> None:
    """r02."""
    headrace("approve", "1")
    # Were version 2 deleted before this approval is handled, its deployment would already serve version 1.
    deadline = time.monotonic() + 60
    while not any(f"{NAME}/1" in body for body in stack):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{NAME}/2"
    connect("sagemaker").delete_model_package(ModelPackageName=arn)
    (difference,) = headrace("status", "--json").data["differences"]
    assert difference["what"].startswith("the endpoint serves version 2, which is no longer in the registry; version 1")
    headrace("repair", "--wait", "200", "--interval", "0.3")
    serves(headrace, 1)


def test_a_run_is_stopped_compared_and_evaluated(
    headrace: Callable[..., Result], connect: Callable[[str], Any], role: str
) -> None:
    sagemaker = connect("sagemaker")
    write = f"echo '{json.dumps(REPORT)}' > /opt/ml/processing/out/evaluation.json; sleep $SECONDS_TO_WAIT"
    step = processing_step("Evaluate", role, write)
    step["Arguments"]["Environment"] = {"SECONDS_TO_WAIT": {"Get": "Parameters.Seconds"}}
    step["Arguments"]["ProcessingOutputConfig"]["Outputs"][0]["OutputName"] = "evaluation"
    text = definition(step, parameters=[{"Name": "Seconds", "Type": "String", "DefaultValue": "0"}])
    sagemaker.create_pipeline(PipelineName=NAME, PipelineDefinition=text, RoleArn=role)
    quick = sagemaker.start_pipeline_execution(PipelineName=NAME)["PipelineExecutionArn"]
    assert wait_for(sagemaker, quick, 200)[0]["PipelineExecutionStatus"] == "Succeeded"
    assert ["cat", "9", "1"] in [line.split() for line in headrace("evaluation").out.splitlines()]
    slow = sagemaker.start_pipeline_execution(
        PipelineName=NAME, PipelineParameters=[{"Name": "Seconds", "Value": "500"}]
    )["PipelineExecutionArn"]
    deadline = time.monotonic() + 60
    while not sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=slow)["PipelineExecutionSteps"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stopped = headrace("stop", "--interval", "0.3")
    assert "Evaluate Stopped" in stopped.out
    assert "nothing to stop" in headrace("stop", status=1).err
    rows = headrace("compare", quick.rpartition("/")[2], slow.rpartition("/")[2], "--json").data
    assert sorted(next(row for row in rows if row["name"] == "Seconds")["values"].values()) == ["0", "500"]
