"""The registry, the decision about a version, and the endpoint that it leads to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_aws import FakeAws, Refusal
from scripted_cloud import Result
from scripted_sagemaker import FakeSageMaker

Headrace = Callable[..., Result]


@pytest.fixture
def three_versions(sagemaker: FakeSageMaker) -> FakeSageMaker:
    sagemaker.add_package(1, "Approved")
    sagemaker.add_package(2, "Rejected", ApprovalDescription="too slow")
    sagemaker.add_package(3, "PendingManualApproval")
    return sagemaker


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(b"a seven")
    return tmp_path / "a.jpg"


def answer(label: str, probability: float) -> dict[str, Any]:
    return {"predictions": [{"label": label, "probability": probability, "probabilities": {label: probability}}]}


@pytest.mark.usefixtures("three_versions")
def test_versions_are_listed_newest_first(headrace: Headrace) -> None:
    result = headrace("models")
    assert result.status == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines()] == ["version", "3", "2", "1"]
    assert "too slow" in result.out.splitlines()[2]
    assert "next: headrace approve 3" in result.err
    newest = headrace("models", "--json").data[0]
    assert (newest["version"], newest["accuracy"], newest["data_set"], newest["run"]) == (3, 0.93, "birds", "run3")


def test_what_the_newest_waiting_version_was_compared_with_is_shown_with_its_warnings(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    compared = "not compared with champion version 1: its artifact was deleted"
    recorded = {"Accuracy": "0.9", "DataSet": "birds", "Comparison": compared, "Warnings": "the classes are imbalanced"}
    sagemaker.add_package(1, "Approved", CustomerMetadataProperties=recorded | {"Warnings": "none"})
    sagemaker.add_package(2, "PendingManualApproval", CustomerMetadataProperties=recorded)
    shown = headrace("models").err
    assert f"version 2: {compared}\n" in shown
    assert "version 2: the classes are imbalanced" in shown
    newest, oldest = headrace("models", "--json").data
    assert (newest["comparison"], newest["warnings"]) == (compared, "the classes are imbalanced")
    assert oldest["warnings"] is None


def test_accuracy_and_data_set_come_from_report_and_run_where_none_are_recorded(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    statistics = {"ContentType": "application/json", "S3Uri": "s3://data-bucket/e.json"}
    sagemaker.add_package(
        1, "Approved", CustomerMetadataProperties={}, ModelMetrics={"ModelQuality": {"Statistics": statistics}}
    )
    aws.objects["data-bucket/e.json"] = b'{"multiclass_classification_metrics": {"accuracy": {"value": 0.5}}}'
    (model,) = headrace("models", "--json").data
    assert (model["accuracy"], model["data_set"]) == (0.5, "birds")


def test_approving_shows_both_models_and_what_changed(headrace: Headrace, three_versions: FakeSageMaker) -> None:
    result = headrace("approve", "latest", "--note", "checked by hand")
    assert result.status == 0, result.err
    assert result.out == "version 3: PendingManualApproval -> Approved\n"
    assert "accuracy 0.9300, data set birds, run run3\n" in result.err
    assert "served now: none; newest approved: version 1, accuracy 0.9100" in result.err
    assert "next: headrace predict --wait" in result.err
    assert three_versions.packages[2]["ModelApprovalStatus"] == "Approved"
    assert three_versions.packages[2]["ApprovalDescription"] == "checked by hand"


def test_rejecting_writes_the_note(headrace: Headrace, three_versions: FakeSageMaker) -> None:
    result = headrace("reject", "1", "--note", "confuses 3 and 8", "--json")
    decided = {"version": 1, "from": "Approved", "to": "Rejected", "note": "confuses 3 and 8"}
    assert result.data == decided | {"served": None, "wanted": None}
    assert three_versions.packages[0]["ModelApprovalStatus"] == "Rejected"


def test_rejecting_the_only_approved_version_says_that_it_goes_on_being_served(
    headrace: Headrace, three_versions: FakeSageMaker
) -> None:
    three_versions.serve(1)
    result = headrace("reject", "1")
    assert "no other version is approved: the endpoint goes on with this one" in result.err
    assert "goes on with" not in headrace("reject", "3").err  # which was never served


def test_a_decision_already_taken_is_not_written_again(
    headrace: Headrace, three_versions: FakeSageMaker, aws: FakeAws
) -> None:
    result = headrace("approve", "1")
    assert result.status == 0
    assert "it is Approved already" in result.err
    assert aws.requests("UpdateModelPackage") == []


@pytest.mark.usefixtures("three_versions")
@pytest.mark.parametrize("version", ["4", "0", "newest"])
def test_an_unknown_version_is_answered_with_the_known_ones(headrace: Headrace, version: str) -> None:
    result = headrace("approve", version)
    assert result.status == 1
    assert f"there is no version '{version}' of headrace-local-models; there is 3, 2, 1" in result.err


IMAGES = {
    "a.jpg": ("image/jpeg", b"\xff\xd8\xff\xe0"),
    "b.PNG": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "c.webp": ("image/webp", b"RIFF\0\0\0\0WEBPVP8 "),
    "d.tif": ("image/tiff", b"MM\0*"),
    "e.bmp": ("image/bmp", b"BM"),
    "f.JPG_large": ("image/gif", b"GIF89a"),
    "g": ("image/avif", b"\0\0\0\x1cftypavif"),
    "h.heic": ("image/heic", b"\0\0\0\x1cftypheic"),
}


def test_a_prediction_names_file_label_and_probability(
    headrace: Headrace, three_versions: FakeSageMaker, aws: FakeAws, tmp_path: Path
) -> None:
    """The content decides what an image is, and which type is sent with it; other files of a folder are not sent."""
    three_versions.serve(1)
    folder = tmp_path / "held-out" / "7"
    folder.mkdir(parents=True)
    for name, (_, content) in IMAGES.items():
        (folder / name).write_bytes(content)
    (folder / "notes.jpg").write_bytes(b"notes")
    (folder / ".hidden.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    aws.predict = lambda body, kind: answer(kind, 0.75)
    result = headrace("predict", str(tmp_path / "held-out"))
    assert result.status == 0, result.err
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        [str(folder / name), kind, "0.7500"] for name, (kind, _) in IMAGES.items()
    ]
    assert "serves version 1" in result.err
    assert headrace("predict", str(folder / "a.jpg"), "--json").data[0]["probability"] == 0.75


def test_a_file_named_that_is_not_an_image_is_for_the_endpoint_to_judge(
    headrace: Headrace, three_versions: FakeSageMaker, aws: FakeAws, tmp_path: Path
) -> None:
    three_versions.serve(1)
    (tmp_path / "notes.txt").write_bytes(b"notes")
    aws.predict = lambda body, kind: {"predictions": [{"error": f"not an image, but {kind}"}]}
    result = headrace("predict", str(tmp_path / "notes.txt"))
    assert result.status == 1
    assert "not an image, but application/octet-stream" in result.out
    assert "1 of 1 image got no answer" in result.err


def test_a_refused_image_does_not_keep_the_others_from_an_answer(
    headrace: Headrace, three_versions: FakeSageMaker, aws: FakeAws, image: Path, tmp_path: Path
) -> None:
    three_versions.serve(1)
    (tmp_path / "broken.jpg").write_bytes(b"broken")

    def predict(body: bytes, kind: str) -> Any:
        if body == b"broken":
            raise Refusal("ModelError", '{"message": "the image cannot be\\n decoded"}', 424)
        return answer("7", 0.9)

    aws.predict = predict
    result = headrace("predict", str(image), str(tmp_path / "broken.jpg"))
    assert result.status == 1
    assert f"{image}" in result.out
    assert "0.9000" in result.out
    assert "1 of 2 images got no answer" in result.err
    assert "the image cannot be decoded" in result.err


@pytest.mark.parametrize(
    ("approval", "hint"),
    [("PendingManualApproval", "headrace approve latest"), ("Rejected", "headrace upload FOLDER")],
)
def test_no_endpoint_yet_says_how_to_get_one(
    headrace: Headrace, sagemaker: FakeSageMaker, image: Path, approval: str, hint: str
) -> None:
    sagemaker.add_package(1, approval)
    result = headrace("predict", str(image))
    assert result.status == 1
    assert result.err == (
        f"error: there is no endpoint headrace-local yet: approving a model version makes it\n\nhint: {hint}\n"
    )


def test_a_failed_endpoint_is_not_invoked(headrace: Headrace, three_versions: FakeSageMaker, image: Path) -> None:
    three_versions.serve(1, status="Failed", FailureReason="the container did not answer /ping")
    result = headrace("predict", str(image), "--wait", "60")
    assert result.status == 1
    assert "is Failed: the container did not answer /ping" in result.err


def test_waiting_is_for_the_newest_approved_version(
    headrace: Headrace, three_versions: FakeSageMaker, aws: FakeAws, image: Path
) -> None:
    three_versions.packages[2]["ModelApprovalStatus"] = "Approved"
    three_versions.serve(1)
    aws.predict = lambda body, kind: answer("7", 0.9)

    def deploy() -> None:
        time.sleep(0.2)
        three_versions.serve(1, status="Updating")
        time.sleep(0.2)
        three_versions.serve(3)

    deployer = threading.Thread(target=deploy)
    deployer.start()
    result = headrace("predict", str(image), "--wait", "20", "--interval", "0.05")
    deployer.join()
    assert result.status == 0, result.err
    assert "serves version 3" in result.err


def test_a_version_rolled_back_is_not_mistaken_for_the_new_one(
    headrace: Headrace, three_versions: FakeSageMaker, image: Path
) -> None:
    three_versions.packages[2]["ModelApprovalStatus"] = "Approved"
    three_versions.serve(1)
    result = headrace("predict", str(image), "--wait", "0.2", "--interval", "0.1")
    assert result.status == 1
    assert "serves version 1, not version 3" in result.err


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("gone.jpg", None, "is not there"),
        ("big.jpg", b"x" * 6_291_457, "a request at most 6.3 MB"),
    ],
)
@pytest.mark.process
def test_a_file_that_cannot_be_sent_is_refused_before_asking(
    headrace: Headrace, tmp_path: Path, aws: FakeAws, name: str, content: bytes | None, expected: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = headrace("predict", str(tmp_path / name))
    assert result.status == 2
    assert expected in result.err
    assert aws.calls == []


def test_a_folder_without_images_says_what_to_give(headrace: Headrace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = headrace("predict", "empty")
    assert result.status == 2
    assert "IMAGE" in result.hint


def test_an_endpoint_that_stays_busy_ends_the_wait_with_status(
    headrace: Headrace, three_versions: FakeSageMaker, image: Path
) -> None:
    three_versions.serve(1, status="Updating")
    result = headrace("predict", str(image), "--wait", "0.1", "--interval", "0.05")
    assert result.hint == "headrace status   # shows how to repair it"


@pytest.mark.parametrize("how", ["none", "another", "elsewhere"])
@pytest.mark.parametrize("command", ["approve", "rollback"])
def test_a_version_whose_bytes_are_not_known_is_not_approved(
    headrace: Headrace, three_versions: FakeSageMaker, how: str, command: str
) -> None:
    """deploy_model would refuse it, minutes later and in a notice only."""
    package = three_versions.packages[0 if command == "rollback" else 2]
    recorded = package["CustomerMetadataProperties"]
    if how == "none":
        del recorded["ArtifactSha256"]
    elif how == "another":
        recorded["ArtifactSha256"] = "a" * 64
    else:
        package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] = "s3://data-bucket/runs/1/model.tar.gz"
    number = package["ModelPackageVersion"]
    before = package["ModelApprovalStatus"]
    answer = headrace(command, str(number))
    assert answer.status == 1
    assert f"version {number} does not record the SHA-256 of its artifact" in answer.err
    assert "hint: headrace run birds --again" in answer.err
    assert package["ModelApprovalStatus"] == before


def test_the_hash_of_the_artifact_is_listed_and_shown_at_the_decision(
    headrace: Headrace, three_versions: FakeSageMaker
) -> None:
    listed = {model["version"]: model["sha256"] for model in headrace("models", "--json").data}
    assert listed[3] == f"{3:064x}"
    assert f"artifact {3:064x}" in headrace("approve", "3").err
