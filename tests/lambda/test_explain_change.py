"""The ExplainChange step: what a run changes against the champion is said before anything is trained."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from fake_aws import Refused
from worlds import BUCKET, CLIENTS, NAME, DeployWorld

from find_champion.handler import handle
from shared import aws
from shared.errors import MalformedEvent

CONTEXT: Any = SimpleNamespace(aws_request_id="r1")
ARGUMENTS = {
    "ModelPackageGroupName": NAME,
    "PreparedUri": f"s3://{BUCKET}/runs/2/preprocess/test",
    "ImageSize": 96,
    "Network": "small-cnn",
}
REPORT = f"s3://{BUCKET}/runs/1/evaluation.json"


@pytest.fixture(autouse=True)
def _aws_is_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "client", CLIENTS)


def prepared(registry: DeployWorld, *classes: str) -> None:
    document = json.dumps({"classes": classes}).encode()
    registry.cloud.put(BUCKET, "runs/2/preprocess/test/dataset.json", document)


def approved(
    registry: DeployWorld, monkeypatch: pytest.MonkeyPatch, *classes: str, report: bool = True, **recorded: str
) -> None:
    registry.cloud.register(NAME, 3, "Approved", url=f"s3://{BUCKET}/runs/1/model.tar.gz")
    if report:
        registry.cloud.put(BUCKET, "runs/1/evaluation.json", json.dumps({"per_class": dict.fromkeys(classes)}).encode())
    describe = registry.cloud.describe_model_package
    more = {
        "CustomerMetadataProperties": recorded,
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": REPORT}}},
    }
    monkeypatch.setattr(registry.cloud, "describe_model_package", lambda **request: describe(**request) | more)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (("cat", "dog"), ("dog", "cat"), "the classes are those of champion version 3: compared on all test images"),
        (
            ("bird", "cat", "dog"),
            ("cat", "dog"),
            "1 class added (bird): compared with champion version 3 on the 2 classes that both know",
        ),
        (
            ("cat", "dog"),
            ("cat", "dog", "emu", "fox"),
            "2 classes removed (emu, fox): compared with champion version 3 on the 2 classes that both know",
        ),
        (
            ("cat", "emu"),
            ("cat", "dog"),
            "1 class added (emu), 1 class removed (dog): no comparison with champion version 3, so the new version "
            "will wait for a person",
        ),
    ],
)
def test_the_classes_that_come_and_go_are_named(
    registry: DeployWorld,
    monkeypatch: pytest.MonkeyPatch,
    now: tuple[str, ...],
    before: tuple[str, ...],
    said: str,
) -> None:
    prepared(registry, *now)
    approved(registry, monkeypatch, *before)
    assert handle(ARGUMENTS, CONTEXT) == {"Change": said}


def test_another_image_size_and_network_are_named(registry: DeployWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(registry, "cat", "dog")
    approved(registry, monkeypatch, "cat", "dog", ImageSize="32", Network="timm:resnet50")
    answer: Any = handle(ARGUMENTS, CONTEXT)
    assert (
        "; image size 32 -> 96: each model is judged at its own; network timm:resnet50 -> small-cnn" in answer["Change"]
    )


def test_without_a_champion_there_is_nothing_to_compare_with(registry: DeployWorld) -> None:
    prepared(registry, "cat", "dog")
    assert handle(ARGUMENTS, CONTEXT) == {"Change": "no version is approved yet: nothing to compare with"}


@pytest.mark.parametrize("kind", ["gone", "denied", "no JSON"])
def test_what_cannot_be_found_out_refuses_nothing(
    registry: DeployWorld, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    prepared(registry, "cat", "dog")
    approved(registry, monkeypatch, "cat", "dog", report=kind != "gone")
    if kind == "no JSON":
        registry.cloud.put(BUCKET, "runs/1/evaluation.json", b"{")
    if kind == "denied":

        def denied(**request: Any) -> Any:
            raise Refused("AccessDenied", "Access Denied", 403)

        monkeypatch.setattr(registry.cloud, "get_object", denied)
    answer: Any = handle(ARGUMENTS, CONTEXT)
    assert answer["Change"] == "the classes of champion version 3 are not known here; Evaluate asks the model itself"


def test_missing_arguments_are_named(registry: DeployWorld) -> None:
    with pytest.raises(MalformedEvent, match="lacks ImageSize, Network"):
        handle({key: ARGUMENTS[key] for key in ("ModelPackageGroupName", "PreparedUri")}, CONTEXT)
