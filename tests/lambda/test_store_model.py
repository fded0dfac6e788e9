"""StoreModel: the artifact that Evaluate judged comes to an address made of its content, or the run fails."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from fake_aws import Cloud
from worlds import BUCKET, CLIENTS

from shared.errors import ArtifactError, MalformedEvent
from store_model.handler import MAX_BYTES, Answer, Judged, store

SOURCE = "runs/1/evaluate/winner/model.tar.gz"
CONTENT = b"the artifact that Evaluate judged"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KEY = f"models/{SHA256}/model.tar.gz"
EVENT = {"ModelDataUrl": f"s3://{BUCKET}/{SOURCE}", "Sha256": SHA256, "Bytes": len(CONTENT)}


@pytest.fixture
def cloud() -> Cloud:
    CLIENTS.cloud = Cloud()
    CLIENTS.cloud.put(BUCKET, SOURCE, CONTENT)
    return CLIENTS.cloud


def stored(**changed: Any) -> Answer:
    return store(CLIENTS("s3"), BUCKET, Judged.from_event(EVENT | changed))


def test_the_artifact_is_copied_to_the_address_of_its_content(cloud: Cloud) -> None:
    answer = stored()
    held = cloud.current(BUCKET, KEY)
    assert held
    assert (held.body, held.algorithm) == (CONTENT, "SHA256")
    assert answer == {"ModelDataUrl": f"s3://{BUCKET}/{KEY}", "VersionId": held.id}


def test_the_same_artifact_is_stored_once(cloud: Cloud) -> None:
    first = stored()
    assert stored() == first
    assert len(cloud.buckets[BUCKET][KEY]) == 1


def test_an_artifact_that_is_stored_is_not_read_again(cloud: Cloud) -> None:
    """So a run whose Evaluate came from the cache registers the right bytes, whatever became of the source."""
    first = stored()
    cloud.put(BUCKET, SOURCE, b"exchanged")
    assert stored() == first


def test_what_lies_there_with_other_bytes_is_replaced(cloud: Cloud) -> None:
    cloud.put(BUCKET, KEY, b"put there by an administrator")
    assert stored()["VersionId"] == cloud.buckets[BUCKET][KEY][-1].id
    assert cloud.text(BUCKET, KEY) == CONTENT


@pytest.mark.parametrize("exchanged", [b"exchanged", CONTENT + b"\0", b""])
def test_an_artifact_that_was_exchanged_after_its_evaluation_is_refused_and_not_kept(
    cloud: Cloud, exchanged: bytes
) -> None:
    cloud.put(BUCKET, SOURCE, exchanged)
    with pytest.raises(ArtifactError, match="not the artifact that Evaluate judged"):
        stored()
    assert cloud.keys(BUCKET, "models/") == []


def test_an_artifact_that_is_gone_is_refused(cloud: Cloud) -> None:
    cloud.put(BUCKET, SOURCE, None)
    with pytest.raises(ArtifactError, match="is not there any more"):
        stored()


def test_an_artifact_of_another_bucket_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ArtifactError, match="does not lie in the data bucket"):
        stored(ModelDataUrl="s3://elsewhere/model.tar.gz")


def test_an_artifact_that_s3_cannot_copy_at_once_is_refused(cloud: Cloud) -> None:
    stored(Bytes=MAX_BYTES)
    with pytest.raises(ArtifactError, match="at most 5,368,709,120"):
        stored(Bytes=MAX_BYTES + 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"Sha256": SHA256.upper()},
        {"Sha256": SHA256[:-1]},
        {"Sha256": f"{SHA256[:-1]}/"},
        {"Sha256": None},
        {"Bytes": None},
        {"Bytes": -1},
        {"Bytes": "many"},
        {"ModelDataUrl": None},
    ],
)
def test_an_event_that_lacks_something_is_refused(cloud: Cloud, changed: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent, match="hexadecimal"):
        stored(**changed)
    assert cloud.keys(BUCKET, "models/") == []


def test_numbers_may_come_as_text(cloud: Cloud) -> None:
    """As SageMaker writes what is inside a Std:Join."""
    assert stored(Bytes=str(len(CONTENT))) == stored()
