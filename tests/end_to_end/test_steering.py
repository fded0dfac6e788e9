"""Stop, run --set, approve, rollback, repair, typed as commands, against the deployed app.

A test names those that it builds on. Cases r01, r02 and r03 are of people who changed an endpoint or a registry by
hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed_app import Deployed, Images, deployment, project_with
from eventually import eventually
from scripted_cloud import Result

from headrace.client.model_packages import list_packages
from shared.hashing import digest

pytestmark = pytest.mark.timeout(600)

HEADRACE = Path(sys.executable).with_name("headrace")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A deployment of this module's own, whose training takes a second."""
    folder = tmp_path_factory.mktemp("steering")
    (folder / "project").mkdir()
    project = project_with(folder / "project", epochs="1", accuracy_threshold="0.0")
    with deployment(folder / "state", project=project) as deployed:
        yield deployed


def headrace(*arguments: str, status: int = 0) -> Result:
    done = subprocess.run([HEADRACE, *arguments], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


def serves(version: int, image: Path) -> None:
    """As `next: headrace predict --wait 600 IMAGE` has it."""
    assert f"serves version {version}" in headrace("predict", "--wait", "300", str(image)).err


def copy_version(app: Deployed) -> int:
    """One more version with the artifact of version 1, as if a run had registered it."""
    sagemaker, group = app.environment.client("sagemaker"), app.environment.stack.model_package_group
    (first,) = [item for item in list_packages(app.environment) if item["ModelPackageVersion"] == 1]
    package = sagemaker.describe_model_package(ModelPackageName=first["ModelPackageArn"])
    (container,) = package["InferenceSpecification"]["Containers"]
    kept = {key: value for key, value in container.items() if key in ("Image", "ModelDataUrl", "Environment")}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=package["InferenceSpecification"] | {"Containers": [kept]},
        ModelMetrics=package["ModelMetrics"],
        CustomerMetadataProperties=package["CustomerMetadataProperties"],
        ModelApprovalStatus="PendingManualApproval",
    )["ModelPackageArn"]
    return int(arn.rsplit("/", 1)[-1])


def notices(kind: str) -> list[dict[str, str]]:
    return [notice for notice in headrace("notices", "--limit", "0", "--json").data if notice["kind"] == kind]


def differences() -> list[dict[str, str]]:
    found: list[dict[str, str]] = headrace("status", "--json").data["differences"]
    return found


@pytest.fixture(scope="module")
def image(app: Deployed, images: Images) -> Path:
    """An image to ask about, of an endpoint that serves version 1."""
    few = app.state.parent / "digits"
    for digit in ("3", "7"):
        (few / digit).mkdir(parents=True)
        for source in sorted((images.seen / digit).iterdir())[:20]:
            (few / digit / source.name).write_bytes(source.read_bytes())
    headrace("upload", str(few))
    headrace("watch", "--wait-for-start", "200", "--after", "2026-01-01T00:00:00Z")
    headrace("approve", "1")
    found = next(iter(sorted(images.held_out.rglob("*.jpg"))))
    serves(1, found)
    return found


def test_what_is_served_and_wanted_is_the_same(image: Path) -> None:
    assert differences() == []
    assert "version 1 is served already" in headrace("approve", "1").err


def test_the_evaluation_of_the_run_and_the_version_is_the_same_report(image: Path) -> None:
    of_run, of_version = headrace("evaluation", "--json").data, headrace("evaluation", "1", "--json").data
    assert {**of_run, "subject": ""} == {**of_version, "subject": ""}
    assert set(of_run["multiclass_classification_metrics"]["confusion_matrix"]) == {"3", "7"}
    assert headrace("evaluation").status == 0


def test_a_run_with_other_parameters_is_started_by_the_trigger_and_stopped(app: Deployed, image: Path) -> None:
    assert "no parameter 'Epoch'" in headrace("run", "--set", "Epoch=2000", status=2).err
    headrace("run", "--set", "Epochs=2000", "--set", "ImageSize=128")

    def training() -> Any:
        run = headrace("runs", "--limit", "1", "--json").data[0]
        states = {step["name"]: step["status"] for step in run["steps"]}
        return run if states.get("TrainSpot") == states.get("TrainOnDemand") == "Executing" else None

    run = eventually("it trains", training, seconds=300)
    assert (run["parameters"]["Epochs"], run["parameters"]["ImageSize"]) == ("2000", "128")
    stopped = headrace("stop", "--interval", "0.3")
    assert "during TrainSpot, TrainOnDemand" in stopped.err or "during TrainOnDemand, TrainSpot" in stopped.err
    assert "Stopped: billed " in stopped.out
    for job in headrace("runs", "--limit", "1", "--json").data[0]["training"]:
        described = app.environment.client("sagemaker").describe_training_job(TrainingJobName=job["job"])
        assert described["TrainingJobStatus"] == "Stopped"
    assert "nothing to stop" in headrace("stop", status=1).err
    both = headrace("compare", run["id"], headrace("runs", "--limit", "2", "--json").data[1]["id"], "--json").data
    assert {row["name"] for row in both} >= {"Epochs", "ImageSize", "status"}


def test_approving_an_older_version_than_the_served_one_changes_nothing_and_a_rollback_does(
    app: Deployed, image: Path
) -> None:
    """r03."""
    assert [copy_version(app), copy_version(app)] == [2, 3]
    headrace("approve", "3")
    serves(3, image)
    beneath = headrace("approve", "2")
    assert "version 3 stays served" in beneath.err
    assert "served now: version 3" in headrace("rollback", "2", "--dry-run").err
    assert differences() == []
    headrace("rollback", "2")
    serves(2, image)
    headrace("reject", "3", "--note", "one more event")
    serves(2, image)
    assert differences() == []


@pytest.mark.builds_on("test_approving_an_older_version_than_the_served_one_changes_nothing_and_a_rollback_does")
def test_a_deleted_endpoint_is_noticed_reported_and_deployed_by_approving_its_version_again(
    app: Deployed, image: Path
) -> None:
    """r01."""
    endpoint = app.environment.stack.endpoint
    app.aws("sagemaker", "delete-endpoint", "--endpoint-name", endpoint)
    (difference,) = eventually("status names a difference", differences, seconds=200)
    assert difference["what"] == "there is no endpoint, and version 2 is approved"
    assert difference["command"] == "headrace repair"
    assert "headrace repair" in headrace("predict", str(image), status=1).err

    # The periodic check reports it and leaves it deleted. The test sends the second check, which is due in 15 minutes.
    sagemaker = app.environment.client("sagemaker")
    found = sagemaker.list_endpoint_configs(NameContains=f"{endpoint}-v2-")["EndpointConfigs"]
    seen = digest(["missing", "", found[0]["EndpointConfigName"]])[:16]
    app.environment.client("sqs").send_message(
        QueueUrl=next(queue.url for queue in app.environment.stack.queues if queue.name == "decisions"),
        MessageBody=json.dumps({"headrace": "periodic-look", "line": "", "seen": seen}),
    )
    sent = eventually("a notice is sent", lambda: notices("endpoint-differs"), seconds=200)
    assert "headrace --env local repair" in sent[0]["text"]
    assert sagemaker.list_endpoints()["Endpoints"] == []

    before = len(notices("deployed"))
    assert "asked for its deployment" in headrace("approve", "2").err
    serves(2, image)
    assert differences() == []
    # The function looks at a new endpoint once more after 30 seconds. The next test changes the registry by hand, and
    # that look would already repair it.
    eventually("a notice is sent", lambda: len(notices("deployed")) > before, seconds=200)


@pytest.mark.builds_on("test_approving_an_older_version_than_the_served_one_changes_nothing_and_a_rollback_does")
def test_a_deleted_version_is_seen_and_repair_serves_the_one_before(app: Deployed, image: Path) -> None:
    """r02."""
    (served,) = [item for item in list_packages(app.environment) if item["ModelPackageVersion"] == 2]
    app.aws("sagemaker", "delete-model-package", "--model-package-name", served["ModelPackageArn"])
    (difference,) = differences()
    assert difference["what"].startswith("the endpoint serves version 2, which is no longer in the registry; version 1")
    headrace("repair", "--wait", "300", "--interval", "0.3")
    serves(1, image)
    assert differences() == []


@pytest.mark.builds_on(
    "test_a_run_with_other_parameters_is_started_by_the_trigger_and_stopped",
    "test_a_deleted_endpoint_is_noticed_reported_and_deployed_by_approving_its_version_again",
)
def test_notices_report_what_was_served(image: Path) -> None:
    assert all(notices(kind) for kind in ("approval-needed", "endpoint-differs", "execution-stopped"))

    def of_version_1() -> list[dict[str, str]]:
        return [notice for notice in notices("deployed") if notice["headline"].startswith("version 1 ")]

    assert eventually("the notice of version 1 is sent", of_version_1, seconds=200)
