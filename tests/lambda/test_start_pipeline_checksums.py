"""Checksums: each version is asked for once, in as many calls as it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aws import Refused
from worlds import BUCKET, QUIET, UploadWorld

from start_pipeline.uploads import checksums


def test_only_new_versions_are_asked_for_their_checksum(world: UploadWorld) -> None:
    for number in range(5):
        world.upload(f"datasets/birds/{number}.jpg")
    world.settle()
    world.cloud.calls.clear()
    world.upload_and_settle("datasets/birds/3.jpg", "new")
    asked = [parameters["Key"] for name, parameters in world.cloud.calls if name == "HeadObject"]
    assert [key for key in asked if key.startswith("datasets/")] == ["datasets/birds/3.jpg"]


def test_checksums_are_asked_while_an_upload_goes_on(world: UploadWorld) -> None:
    """A large one then starts at the end of the quiet period, and not minutes after it."""
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET - 1
    world.upload("datasets/birds/2.jpg")
    check = next(message for message in world.cloud.queue if "check" in message.body)
    world.cloud.now += 1
    world.deliver(check)
    world.cloud.calls.clear()
    world.settle()
    asked = [parameters["Key"] for name, parameters in world.cloud.calls if name == "HeadObject"]
    assert not [key for key in asked if key.startswith("datasets/")]
    assert len(world.executions()) == 1


def test_a_fault_while_an_upload_goes_on_is_left_to_the_look_that_counts(world: UploadWorld) -> None:
    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "HeadObject":
            raise Refused("SlowDown", "Please reduce your request rate.", 503)

    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.upload("datasets/birds/2.jpg")
    world.cloud.now += QUIET - 1
    world.cloud.interrupt = refuse
    assert world.deliver(next(message for message in world.cloud.queue if "check" in message.body))
    world.cloud.interrupt = None
    world.settle()
    assert len(world.executions()) == 1


def test_an_unchanged_data_set_is_not_written_again(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.cloud.calls.clear()
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.settle()
    written = [parameters["Key"] for name, parameters in world.cloud.calls if name == "PutObject"]
    assert not [key for key in written if key.startswith("manifests/")]


def test_a_data_set_too_large_for_one_call_is_finished_by_the_next(
    world: UploadWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "HEAD_BATCH", 2)
    for number in range(5):
        world.upload(f"datasets/birds/{number}.jpg")
    world.seconds_left = 120

    def tire(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "DeleteObject":  # a check begins
            world.seconds_left = 120
        elif operation == "HeadObject":
            world.seconds_left -= 30

    world.cloud.interrupt = tire
    world.settle()
    asked = [key for name, p in world.cloud.calls if name == "HeadObject" and "datasets" in (key := p["Key"])]
    assert len(world.executions()) == 1
    assert sorted(asked) == [f"datasets/birds/{number}.jpg" for number in range(5)]
    assert world.cloud.names().count("PutObject") >= 5


def test_an_object_without_a_checksum_is_refused_with_the_command_that_helps(world: UploadWorld, logged: Any) -> None:
    world.upload("datasets/birds/1.jpg", checksum=False)
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET
    world.deliver(world.cloud.queue[0])
    assert "has no checksum" in world.cloud.dead_letters[0].reason
    (line,) = [line for line in logged() if line["level"] == "ERROR"]
    assert line["type"] == "DataSetError"
    assert "datasets/birds/1.jpg has no checksum" in line["error"]
    assert "--checksum-algorithm" in line["hint"]


def test_a_kind_of_checksum_that_boto3_does_not_know_tells_a_change_as_well(world: UploadWorld) -> None:
    """S3 adds kinds, and Lambda's boto3 comes later: the answer's headers have them all the same."""
    for content in ("a", "a", "b"):
        world.upload("datasets/birds/1.jpg", content)
        version = world.cloud.current(BUCKET, "datasets/birds/1.jpg")
        assert version is not None
        version.algorithm = "XXHASH256"
        world.settle()
        world.finish("Succeeded")
    assert len(set(world.fingerprints())) == len(world.executions()) == 2
    assert "XXHASH256:" in json.dumps(world.document("manifests/birds/latest.json"))
