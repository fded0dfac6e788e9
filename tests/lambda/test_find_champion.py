"""The FindChampion step: which model a candidate has to beat."""

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
ARGUMENTS = {"ModelPackageGroupName": NAME, "NoChampionUri": "s3://data-bucket/champions/none/"}


@pytest.fixture(autouse=True)
def _aws_is_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "client", CLIENTS)


def test_without_an_approved_version_the_marker_stands_for_the_champion(registry: DeployWorld) -> None:
    registry.cloud.register(NAME, 1, "Rejected")
    registry.cloud.register(NAME, 2, "PendingManualApproval")
    assert handle(ARGUMENTS, CONTEXT) == {
        "ModelDataUrl": "s3://data-bucket/champions/none/",
        "ModelPackageArn": "none",
        "ModelPackageVersion": 0,
        "ChampionState": "none",
    }


def test_the_approved_version_is_the_champion(registry: DeployWorld) -> None:
    registry.cloud.put(BUCKET, "runs/1/model.tar.gz", b"model")
    arn = registry.cloud.register(NAME, 1, "Approved", url=f"s3://{BUCKET}/runs/1/model.tar.gz")
    assert handle(ARGUMENTS, CONTEXT) == {
        "ModelDataUrl": f"s3://{BUCKET}/runs/1/model.tar.gz",
        "ModelPackageArn": arn,
        "ModelPackageVersion": 1,
        "ChampionState": "found",
    }


@pytest.mark.parametrize(
    "url", [f"s3://{BUCKET}/runs/1/model.tar.gz", "s3://no-such-bucket/model.tar.gz", ""], ids=["key", "bucket", "url"]
)
def test_a_champion_whose_artifact_is_gone_is_named_and_the_marker_stands_for_it(
    registry: DeployWorld, url: str
) -> None:
    """Also one of whose key only a longer one is left."""
    registry.cloud.put(BUCKET, "runs/1/model.tar.gz.old", b"model")
    arn = registry.cloud.register(NAME, 1, "Approved", url=url)
    assert handle(ARGUMENTS, CONTEXT) == {
        "ModelDataUrl": "s3://data-bucket/champions/none/",
        "ModelPackageArn": arn,
        "ModelPackageVersion": 1,
        "ChampionState": "gone",
    }


def test_an_artifact_in_a_bucket_that_may_not_be_listed_counts_as_there(
    registry: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**request: Any) -> Any:
        raise Refused("AccessDenied", "Access Denied", 403)

    monkeypatch.setattr(registry.cloud, "list_objects_v2", denied)
    registry.cloud.register(NAME, 1, "Approved", url="s3://elsewhere/model.tar.gz")
    answer = handle(ARGUMENTS, CONTEXT)
    assert (answer["ModelDataUrl"], answer["ChampionState"]) == ("s3://elsewhere/model.tar.gz", "found")


def test_the_highest_approved_number_wins_wherever_it_is_in_the_pages(registry: DeployWorld) -> None:
    for version in (2, 9, 10, 1, 3, 4, 5):
        registry.cloud.register(NAME, version, "Approved", url=f"s3://data-bucket/{version}")
    registry.cloud.register(NAME, 11, "Rejected", url="s3://data-bucket/11")
    registry.cloud.register("another-group", 12, "Approved", url="s3://data-bucket/12")
    registry.cloud.register(NAME, 13, "Approved", url="s3://data-bucket/13", status="Failed")
    assert handle(ARGUMENTS, CONTEXT)["ModelPackageVersion"] == 10


@pytest.mark.parametrize("event", [{}, {"ModelPackageGroupName": NAME}, ARGUMENTS | {"NoChampionUri": 1}])
def test_malformed_arguments_are_refused(registry: DeployWorld, event: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent):
        handle(event, CONTEXT)
    assert registry.cloud.names() == []


def test_the_answer_is_logged_as_one_json_line(registry: DeployWorld, capsys: pytest.CaptureFixture[str]) -> None:
    """With the execution that has asked, which SageMaker passes to a function in its arguments only."""
    handle(ARGUMENTS | {"PipelineExecutionArn": "arn:x"}, CONTEXT)
    line = json.loads(capsys.readouterr().out)
    assert (line["message"], line["execution"], line["request_id"]) == ("no champion yet", "arn:x", "r1")
