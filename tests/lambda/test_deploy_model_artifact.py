"""What is approved is what runs: a version whose bytes are not the registered ones is not deployed, and is notified."""

from __future__ import annotations

from typing import Any

import pytest
from worlds import BUCKET, NAME, DeployWorld

PERIODIC = {"headrace": "periodic-look", "line": "", "seen": None}
SHA256 = "0123456789abcdef" * 4
RECORDED = {"ArtifactSha256": SHA256, "ArtifactBytes": "9"}
STORED = f"s3://{BUCKET}/models/{SHA256}/model.tar.gz"


def artifact(registry: DeployWorld) -> str:
    """The key of the artifact that version 1 was registered with."""
    (key,) = registry.cloud.keys(BUCKET, "models/")
    return key


def refusals(registry: DeployWorld) -> list[str]:
    return [notice["reason"] for notice in registry.cloud.notices if notice["kind"] == "artifact-refused"]


def test_the_registered_bytes_are_served(registry: DeployWorld) -> None:
    registry.deliver(registry.decide(1, "Approved"))
    registry.settle()
    assert registry.served().endswith("/1")
    assert refusals(registry) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"url": ""}, "(none) does not lie under models/"),
        ({"url": f"s3://{BUCKET}/runs/1/evaluate/winner/model.tar.gz"}, "does not lie under models/"),
        ({"url": f"s3://{BUCKET}/models/x/model.tar.gz"}, "does not lie under models/"),
        ({"url": f"s3://elsewhere/models/{SHA256}/model.tar.gz"}, "does not lie under models/"),
        ({"url": f"s3://{BUCKET}/models/{SHA256}/../model.tar.gz"}, "does not lie under models/"),
        ({"recorded": {}}, "records the SHA-256 (none)"),
        ({"recorded": RECORDED}, f"records the SHA-256 {SHA256}"),
        ({"url": STORED, "recorded": RECORDED}, "is gone, or may not be read"),
        ({"container": {"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/code.tar.gz"}}}, "fetches SAGEMAKER_SUB"),
        ({"container": {"ModelDataSource": {"S3DataSource": {
            "S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}}}}, "names ModelDataSource"),
        ({"container": {"AdditionalS3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/m/"}}},
         "names AdditionalS3DataSource"),
    ],
)  # fmt: skip
def test_a_version_that_names_other_bytes_is_not_deployed(
    registry: DeployWorld, changed: dict[str, Any], reason: str
) -> None:
    assert registry.deliver(registry.decide(1, "Approved", **changed)) == []
    assert registry.cloud.endpoints == {}
    assert registry.cloud.models == {}
    (said,) = refusals(registry)
    assert reason in said


def test_the_recorded_size_counts_as_well(registry: DeployWorld) -> None:
    change = registry.decide(1, "Approved")
    (package,) = registry.cloud.packages.values()
    package["recorded"]["ArtifactBytes"] = "1"
    registry.deliver(change)
    assert registry.cloud.endpoints == {}
    assert "records 1 bytes" in refusals(registry)[0]


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_bytes_that_were_exchanged_before_the_deployment_are_not_served(registry: DeployWorld, algorithm: str) -> None:
    change = registry.decide(1, "Approved")
    registry.cloud.put(BUCKET, artifact(registry), b"exchanged").algorithm = algorithm
    registry.deliver(change)
    assert registry.cloud.endpoints == {}
    assert "has another SHA-256" in refusals(registry)[0]


def test_bytes_that_were_exchanged_under_way_are_told_and_nothing_is_changed(registry: DeployWorld) -> None:
    registry.deliver(registry.decide(1, "Approved"))
    registry.cloud.put(BUCKET, artifact(registry), b"exchanged")
    registry.settle()
    assert refusals(registry)
    assert len(registry.cloud.configurations) == 1


def test_the_periodic_look_tells_of_bytes_that_were_exchanged_under_a_served_version(registry: DeployWorld) -> None:
    registry.deliver(registry.decide(1, "Approved"))
    registry.settle()
    registry.cloud.put(BUCKET, artifact(registry), b"exchanged")
    registry.deliver(PERIODIC)
    assert "has another SHA-256" in refusals(registry)[0]
    assert registry.cloud.endpoints[NAME]["EndpointStatus"] == "InService"


def test_an_older_version_is_not_served_in_place_of_a_refused_one(registry: DeployWorld) -> None:
    """The registry says that version 2 is wanted; only people can say that it is not."""
    registry.deliver(registry.decide(1, "Approved"))
    registry.settle()
    registry.deliver(registry.decide(2, "Approved", recorded={}))
    registry.settle()
    assert registry.served().endswith("/1")
    assert len(refusals(registry)) == 1
    registry.deliver(registry.decide(2, "Rejected"))
    registry.settle()
    assert registry.served().endswith("/1")


def test_another_accounts_artifact_is_checked_in_that_accounts_bucket(
    registry: DeployWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DeployWorld(account="222222222222", group="headrace-dev")
    asked = []
    head = other.cloud.head_object

    def record(**request: Any) -> dict[str, Any]:
        asked.append(request["ExpectedBucketOwner"])
        return head(**request)

    monkeypatch.setattr(other.cloud, "head_object", record)
    other.deliver(other.decide(1, "Approved"))
    other.settle()
    assert other.served().endswith("/1")
    assert set(asked) == {"222222222222"}
    other.cloud.put(BUCKET, artifact(other), b"exchanged")
    other.deliver(PERIODIC)
    assert "has another SHA-256" in refusals(other)[0]
