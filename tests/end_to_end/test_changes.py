"""A model line lives for years: classes, image size, network and artifacts change, and each run ends with a model.

One deployment goes through all of it: a test names those that it builds on. No gate is in the way (no threshold, a
tolerance of 1): what counts is what a candidate is compared with, and what is registered how.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed_app import Deployed, deployment, project_with

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.executions import list_executions, list_steps, read_execution
from headrace.commands import cdk, runs, upload
from headrace.demo.digits import write_digits
from headrace.terminal.output import Output

pytestmark = pytest.mark.timeout(900)

QUIET = Output()
IMAGES = 20  # of a class: enough for a split, and little to train on
SETTINGS = {
    "epochs": "2",
    "capacity": '"spot"',
    "accuracy_threshold": "0.0\nchampion_tolerance = 1.0",
    "model_approval_status": '"Approved"',
}
OWN_NETWORK = '''
class Own(nn.Module):
    """One convolution, of the user's own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.see = nn.Conv2d(3, 8, 8, 8)
        self.classify = nn.Linear(8, len(config.classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.classify(self.see(images / 255).relu().mean((2, 3)))


NETWORKS: dict[str, Callable[[ModelConfig], nn.Module]] = {"own": Own}
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a training folder that the tests may change, and with automatically approved models."""
    settings = dict(SETTINGS)
    settings["epochs"] += f"\nmodel_approval_status = {settings.pop('model_approval_status')}"
    folder = project_with(tmp_path_factory.mktemp("project"), **settings)
    return folder


@pytest.fixture(scope="module")
def line(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with deployment(tmp_path_factory.mktemp("changes") / "state", project=project) as app:
        yield Line(app, tmp_path_factory.mktemp("images"))


class Line:
    """The deployed line, and the images that are uploaded to it."""

    def __init__(self, deployed: Deployed, folder: Path) -> None:
        self.deployed, self.environment = deployed, deployed.environment
        everything, held_out = write_digits(folder / "all")
        self.digits, self.others, self.held_out = folder / "digits", folder / "other-digits", held_out
        for digit in "012":
            self.add(everything / digit, self.digits / digit)
        for digit in "78":
            self.add(everything / digit, self.others / f"digit-{digit}")
        self.more = everything / "3"

    @staticmethod
    def add(images: Path, to: Path) -> None:
        to.mkdir(parents=True)
        for image in sorted(images.iterdir())[:IMAGES]:
            shutil.copyfile(image, to / image.name)

    def upload(self, folder: Path, *, delete: bool = False) -> dict[str, Any]:
        def send() -> None:
            upload.upload(self.environment, QUIET, path=folder, name=None, delete=delete)

        return self.ended(send)

    def again(self, data_set: str, **parameters: str) -> dict[str, Any]:
        def ask() -> None:
            runs.run_again(self.environment, QUIET, data_set=data_set, again=not parameters, chosen=parameters)

        return self.ended(ask)

    def ended(self, start: Callable[[], None]) -> dict[str, Any]:
        """What the run leaves that `start` starts: its newest version and evaluation, and the statuses of its steps."""
        before = {execution.arn for execution in list_executions(self.environment)}
        start()
        deadline = time.monotonic() + 600
        while True:
            assert time.monotonic() < deadline
            time.sleep(0.5)
            found = next((item for item in list_executions(self.environment) if item.arn not in before), None)
            if found and not read_execution(self.environment, found.arn).going_on:
                break
        steps = {step.name: step for step in list_steps(self.environment, found)}
        failed = {step.name: step.reason for step in steps.values() if step.status == "Failed"}
        assert read_execution(self.environment, found.arn).status == "Succeeded", failed
        newest = registry.list_packages(self.environment)[0]["ModelPackageArn"]
        package = self.environment.client("sagemaker").describe_model_package(ModelPackageName=newest)
        assert package["MetadataProperties"]["GeneratedBy"] == found.arn
        return {
            "version": package["ModelPackageVersion"],
            "approval": package["ModelApprovalStatus"],
            "recorded": package["CustomerMetadataProperties"],
            "artifact": package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"],
            "evaluation": self.read(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]),
            "steps": steps,
        }

    def read(self, uri: str) -> dict[str, Any]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.environment.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        document: dict[str, Any] = json.loads(body)
        return document

    def approve(self, version: int) -> None:
        arn = registry.find_model(self.environment, str(version)).arn
        self.environment.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    def serves(self, version: int) -> None:
        deadline = time.monotonic() + 300
        while True:
            found = endpoint.read_endpoint(self.environment)
            if found and (found.status, found.version) == ("InService", version):
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.5)

    def answers(self) -> set[str]:
        (answer,) = endpoint.ask(self.environment, sorted(self.held_out.rglob("*.jpg"))[:1])
        assert answer.error is None
        return {str(answer.label)}


def test_the_first_model_of_a_line_is_approved_as_the_environment_says(line: Line) -> None:
    found = line.upload(line.digits)
    assert (found["version"], found["approval"]) == (1, "Approved")
    assert found["evaluation"]["comparison"]["kind"] == "no-champion"
    assert found["recorded"]["Classes"] == "3: 0 / 1 / 2"
    line.serves(1)


@pytest.mark.builds_on("test_the_first_model_of_a_line_is_approved_as_the_environment_says")
def test_an_upload_of_other_classes_ends_with_a_model_that_waits_for_a_person(line: Line) -> None:
    found = line.upload(line.others)
    assert (found["version"], found["approval"]) == (2, "PendingManualApproval")
    comparison = found["evaluation"]["comparison"]
    assert (comparison["kind"], comparison["champion_version"]) == ("no-shared-classes", 1)
    known = found["steps"]["ExplainChange"].outputs["Change"]
    assert "2 classes added (digit-7, digit-8), 3 classes removed (0, 1, 2): no comparison" in known
    assert found["steps"]["CheckComparison"].outcome == "False"
    assert "not compared with champion version 1" in found["recorded"]["Comparison"]
    line.approve(2)
    line.serves(2)
    assert line.answers() <= {"digit-7", "digit-8"}


@pytest.mark.builds_on("test_an_upload_of_other_classes_ends_with_a_model_that_waits_for_a_person")
def test_the_first_data_set_again_also_ends_with_a_model(line: Line) -> None:
    """As `make demo` does after you have uploaded your own data; the training step is a cache hit."""
    found = line.again("digits")
    assert (found["version"], found["approval"]) == (3, "PendingManualApproval")
    assert found["evaluation"]["comparison"]["kind"] == "no-shared-classes"
    assert found["steps"]["TrainSpot"].cached_from is not None
    line.approve(3)
    line.serves(3)
    assert line.answers() <= {"0", "1", "2"}


@pytest.mark.builds_on("test_the_first_data_set_again_also_ends_with_a_model")
def test_another_image_size_is_compared_each_model_at_its_own(line: Line) -> None:
    found = line.again("digits", ImageSize="96")
    assert (found["version"], found["approval"], found["recorded"]["ImageSize"]) == (4, "Approved", "96")
    comparison = found["evaluation"]["comparison"]
    assert (comparison["kind"], comparison["images"], comparison["champion_version"]) == ("same-classes", 9, 3)
    line.serves(4)


@pytest.mark.builds_on("test_another_image_size_is_compared_each_model_at_its_own")
def test_one_class_more_is_compared_on_the_classes_that_both_know(line: Line) -> None:
    line.add(line.more, line.digits / "3")
    found = line.upload(line.digits)
    assert found["approval"] == "Approved"
    comparison = found["evaluation"]["comparison"]
    assert (comparison["kind"], comparison["added_classes"]) == ("shared-classes", ["3"])
    known = found["steps"]["ExplainChange"].outputs["Change"]
    assert "1 class added (3): compared with champion version 4 on the 3 classes that both know" in known
    assert (comparison["images"], found["evaluation"]["test"]["images"]) == (9, 12)


@pytest.mark.builds_on("test_one_class_more_is_compared_on_the_classes_that_both_know")
def test_one_class_fewer_is_compared_on_the_classes_that_both_know(line: Line) -> None:
    shutil.rmtree(line.digits / "0")
    found = line.upload(line.digits, delete=True)
    assert found["approval"] == "Approved"
    comparison = found["evaluation"]["comparison"]
    assert (comparison["kind"], comparison["removed_classes"]) == ("shared-classes", ["0"])
    assert comparison["classes"] == ["1", "2", "3"]


@pytest.mark.builds_on("test_one_class_fewer_is_compared_on_the_classes_that_both_know")
def test_a_custom_network_that_replaces_the_old_one_is_compared_with_the_champions(line: Line, project: Path) -> None:
    source = project / "training/model.py"
    text = source.read_text()
    old = re.search(r"\nclass SmallCNN.*?(?=\ndef is_known)", text, re.DOTALL)
    assert old is not None
    source.write_text(text.replace(old.group(), OWN_NETWORK + "\n"))
    settings = project / "environments.toml"
    settings.write_text(settings.read_text().replace("epochs = 2\n", 'epochs = 2\nnetwork = "own"\n', 1))
    cdk.deploy(line.environment, QUIET)
    found = line.again("digits")
    assert (found["approval"], found["recorded"]["Network"]) == ("Approved", "own")
    assert found["evaluation"]["comparison"]["kind"] == "same-classes"
    line.serves(found["version"])


@pytest.mark.builds_on("test_a_custom_network_that_replaces_the_old_one_is_compared_with_the_champions")
def test_a_champion_whose_artifact_was_deleted_is_followed_by_a_model_that_waits(line: Line) -> None:
    newest = registry.list_packages(line.environment)[0]
    package = line.environment.client("sagemaker").describe_model_package(ModelPackageName=newest["ModelPackageArn"])
    uri = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = line.environment.client("s3")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=key)
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)  # as an administrator can
    s3.delete_object(Bucket=bucket, Key=key)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    found = line.again("digits")
    assert found["approval"] == "PendingManualApproval"
    comparison = found["evaluation"]["comparison"]
    assert (comparison["kind"], comparison["champion_version"]) == ("champion-gone", newest["ModelPackageVersion"])


@pytest.mark.builds_on("test_the_first_model_of_a_line_is_approved_as_the_environment_says")
def test_what_cannot_be_taken_is_refused_before_anything_trains(line: Line) -> None:
    before = {execution.arn for execution in list_executions(line.environment)}
    with pytest.raises(AssertionError, match="the image size is 4 pixels"):
        line.again("digits", ImageSize="4")
    (execution,) = [item for item in list_executions(line.environment) if item.arn not in before]
    assert [step.name for step in list_steps(line.environment, execution)] == ["Preprocess"]
