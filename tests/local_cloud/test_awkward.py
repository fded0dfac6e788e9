"""The local cloud under HEADRACE_AWKWARD does what AWS may do, from a definition or an event to its outcome."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import BUCKET, client, definition, free_port, make_role, processing_step, read, run

from local_cloud import process
from local_cloud.errors import LocalCloudError
from local_cloud.process import Running
from local_cloud.sagemaker.awkward import java_text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0001, "1.0E-4"), (-0.00025, "-2.5E-4"), (0.001, "0.001"), (0.95, "0.95"), (20.0, "20.0"), (0.0, "0.0"),
        (1e7, "1.0E7"), (123456789.5, "1.234567895E8"), (9999999.0, "9999999.0"),
    ],
)  # fmt: skip
def test_numbers_stand_as_java_writes_them(number: float, text: str) -> None:
    """https://docs.oracle.com/javase/8/docs/api/java/lang/Double.html#toString-double-"""
    assert java_text(number) == text
    assert float(text) == number


def test_another_value_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process.AWKWARD, "yes")
    with pytest.raises(LocalCloudError, match="can be 0 or 1"):
        process.start(tmp_path / "state", port=free_port())


pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("awkward") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(process.AWKWARD, "1")
        yield process.start(state, port=free_port())
    process.stop(state)


def test_a_joined_number_reaches_the_job_as_java_writes_it(awkward: Running) -> None:
    s3, sagemaker = client(awkward, "s3"), client(awkward, "sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    role = make_role(client(awkward, "iam"), "all", ["sagemaker:*", "s3:*", "logs:*", "iam:PassRole"], ["*"])
    step = processing_step("Write", role, 'printf %s "$RATE" > /opt/ml/processing/out/rate')
    rate = {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Rate"}]}}
    step["Arguments"]["Environment"] = {"RATE": rate}
    parameters = [{"Name": "Rate", "Type": "Float", "DefaultValue": 0.0001}]
    execution, steps = run(sagemaker, "rates", definition(step, parameters=parameters), role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    run_id = execution["PipelineExecutionArn"].rsplit("/", 1)[1]
    assert read(s3, f"s3://{BUCKET}/runs/{run_id}/Write/rate") == b"1.0E-4"


def test_an_event_comes_twice_with_iso_times(awkward: Running) -> None:
    sqs, events, sagemaker = (client(awkward, name) for name in ("sqs", "events", "sagemaker"))
    url = sqs.create_queue(QueueName="seen")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
    events.put_rule(Name="versions", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="versions", Targets=[{"Id": "queue", "Arn": arn}])
    sagemaker.create_model_package_group(ModelPackageGroupName="Birds")
    container = {"Image": "pytorch", "ModelDataUrl": "s3://b/m.tar.gz"}
    made = sagemaker.create_model_package(
        ModelPackageGroupName="Birds",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": [],
            "SupportedResponseMIMETypes": [],
        },
    )["ModelPackageArn"]
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while len(found) < 2:
        assert time.monotonic() < deadline, found
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            found.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    first, second = found
    assert first == second
    assert first["ModelPackageArn"] == made.lower() != made
    assert re.fullmatch(r"[0-9-]{10}T.*", first["CreationTime"])
