"""The app with `train_instance_count = 2`: each lane trains on two hosts of the local cloud."""

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from deployed_app import Deployed, Images, deployment, project_with

from headrace.client import model_packages as registry
from headrace.client.executions import Execution, list_steps, read_execution, wait_for_execution
from headrace.commands import upload
from headrace.terminal.output import Output
from local_cloud import process

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def on_two_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    project = project_with(tmp_path_factory.mktemp("project"), capacity='"both"\ntrain_instance_count = 2', epochs="20")
    with deployment(tmp_path_factory.mktemp("two-hosts") / "state", project=project) as app:
        yield app


@pytest.fixture(scope="module")
def run(on_two_hosts: Deployed, images: Images) -> Execution:
    """A run from an upload to its end, whose spot lane was interrupted once, after its first checkpoint."""
    environment, began = on_two_hosts.environment, datetime.now(UTC)
    upload.upload(environment, Output(), path=images.seen, name="digits", delete=False)
    execution = wait_for_execution(environment, after=began, seconds=60, interval=0.3)
    interrupted, deadline = False, time.monotonic() + 180
    while execution.going_on:
        assert time.monotonic() < deadline
        time.sleep(0.3)
        if not interrupted and checkpoints(on_two_hosts):
            process.interrupt(on_two_hosts.state, job(on_two_hosts, execution, "TrainSpot")["TrainingJobName"])
            interrupted = True
        execution = read_execution(environment, execution.arn)
    return execution


def checkpoints(deployed: Deployed) -> int:
    bucket = deployed.environment.stack.data_bucket
    return int(deployed.environment.client("s3").list_objects_v2(Bucket=bucket, Prefix="checkpoints/spot/")["KeyCount"])


def job(deployed: Deployed, execution: Execution, step_name: str) -> dict[str, Any]:
    (name,) = [step.job for step in list_steps(deployed.environment, execution) if step.name == step_name]
    description: dict[str, Any] = deployed.environment.client("sagemaker").describe_training_job(TrainingJobName=name)
    return description


def artifact(deployed: Deployed, uri: str) -> dict[str, bytes]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content = deployed.environment.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_a_training_on_two_hosts_leads_to_a_registered_version(on_two_hosts: Deployed, run: Execution) -> None:
    steps = list_steps(on_two_hosts.environment, run)
    assert run.status == "Succeeded", [(step.name, step.reason) for step in steps]
    assert registry.find_model(on_two_hosts.environment, "latest").version == 1
    description = job(on_two_hosts, run, "TrainOnDemand")
    assert description["ResourceConfig"]["InstanceCount"] == 2
    uri = description["ModelArtifacts"]["S3ModelArtifacts"]
    report = json.loads(artifact(on_two_hosts, uri.replace("model.tar.gz", "output.tar.gz"))["report.json"])
    assert "in each of 2 processes" in report["device"]
    assert report["best_accuracy"] >= 0.9


def test_a_lane_on_two_hosts_that_was_interrupted_ends_with_the_weights_of_the_other(
    on_two_hosts: Deployed, run: Execution
) -> None:
    spot, on_demand = (job(on_two_hosts, run, name) for name in ("TrainSpot", "TrainOnDemand"))
    assert "Interrupted" in [item["Status"] for item in spot["SecondaryStatusTransitions"]]
    artifacts = [artifact(on_two_hosts, lane["ModelArtifacts"]["S3ModelArtifacts"]) for lane in (spot, on_demand)]
    one, other = (hashlib.sha256(files["model.safetensors"]).hexdigest() for files in artifacts)
    assert one == other
