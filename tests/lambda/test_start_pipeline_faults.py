"""Faults of AWS at each moment: an upload is neither lost nor doubled, and what is dead-lettered can be sent again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fake_aws import DEAD, NOTICES_QUEUE, Refused
from worlds import QUIET, UploadWorld, event

from start_pipeline.trigger import MIN_SECONDS

Interrupt = Callable[[str, str, dict[str, Any]], None]


def answer_lost_and_asked_again(world: UploadWorld, area: str) -> Interrupt:
    """A conditional write below `area` whose answer is lost; boto3 sends it again, and it meets itself."""

    def interrupt(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("after", "PutObject") and parameters["Key"].startswith(area):
            world.cloud.interrupt = None
            world.cloud.put_object(**parameters)

    return interrupt


@pytest.mark.parametrize("area", ["quiet/", "ledger/"])
def test_a_write_that_meets_itself_is_no_other_workers(world: UploadWorld, area: str) -> None:
    """Taken for another worker's, the upload would be left to nobody."""
    world.cloud.interrupt = answer_lost_and_asked_again(world, area)
    world.upload_and_settle("datasets/birds/1.jpg")
    assert world.cloud.interrupt is None
    assert len(world.executions()) == 1


def test_an_expired_marker_is_taken_over_though_the_answer_is_lost(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.queue.clear()
    world.cloud.now += 1_000
    world.cloud.interrupt = answer_lost_and_asked_again(world, "quiet/")
    world.upload_and_settle("datasets/birds/2.jpg")
    assert len(world.executions()) == 1


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError"])
def test_a_check_that_cannot_be_sent_leaves_no_marker_that_stands_for_it(world: UploadWorld, code: str) -> None:
    """A redriven message has another id, so it would take the marker for that of a check on its way."""
    world.upload("datasets/birds/1.jpg")

    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "SendMessage" and "check" in parameters["MessageBody"]:
            raise Refused(code, "no")

    world.cloud.interrupt = refuse
    while world.cloud.queue:
        world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    assert len(world.cloud.dead_letters) == 1
    world.redrive()
    world.settle()
    assert len(world.executions()) == 1


def test_a_reason_that_quotes_control_characters_can_be_sent(world: UploadWorld) -> None:
    world.send({"headrace": "check", "data_set": "birds"})

    def deny(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation != "SendMessage":
            raise Refused("AccessDenied", "to \x01\x0c\ufffe")

    world.cloud.interrupt = deny
    assert world.deliver(world.cloud.queue[0])
    assert world.cloud.dead_letters[0].reason.endswith("to \ufffd\ufffd\ufffd")


def test_each_message_that_is_set_aside_is_told_with_what_it_was_about(world: UploadWorld) -> None:
    """The alarm on the dead-letter queue speaks once, however many follow."""
    notification = event("s3_object_created")
    notification["Records"].append({"eventName": "ObjectCreated:Put"})
    for body in (notification, {"headrace": "dance"}):
        world.send(body)
        assert world.deliver(world.cloud.queue[0])
    first, second = world.cloud.notices
    assert first["message_id"] != second["message_id"]
    assert second == {
        "headrace": "notice",
        "kind": "set-aside",
        "queue": f"upload-{DEAD}",
        "message_id": second["message_id"],
        "message": '{"headrace": "dance"}',
        "reason": world.cloud.dead_letters[1].reason,
    }


def test_a_notification_that_is_set_aside_is_told_by_its_objects_key(world: UploadWorld) -> None:
    def deny(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "GetObject":
            raise Refused("AccessDenied", "no")

    world.cloud.interrupt = deny
    world.upload("datasets/zwölf a+b/1.jpg")
    assert world.deliver(world.cloud.queue[0])
    assert [notice["message"] for notice in world.cloud.notices] == ["datasets/zwölf a+b/1.jpg"]


def test_a_notice_that_cannot_be_sent_leaves_the_message_set_aside(world: UploadWorld, logged: Any) -> None:
    def deny(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "SendMessage" and parameters["QueueUrl"] == NOTICES_QUEUE:
            raise Refused("InternalError", "no")

    world.cloud.interrupt = deny
    world.send({"headrace": "dance"})
    assert world.deliver(world.cloud.queue[0])
    assert len(world.cloud.dead_letters) == 1
    assert logged()[-1]["message"] == "no notice was sent of the dead-lettered message"


def test_a_look_is_not_begun_when_the_batch_has_taken_the_time(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET
    world.seconds_left = MIN_SECONDS - 1
    assert world.deliver(world.cloud.queue[0])
    assert "ListObjectsV2" not in world.cloud.names()
    assert [json.loads(message.body)["headrace"] for message in world.cloud.queue] == ["check"]
    world.seconds_left = MIN_SECONDS
    world.settle()
    assert len(world.executions()) == 1
