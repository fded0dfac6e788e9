"""Uploads: one check per data set, one execution per content, whatever the events do."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import pytest
from fake_aws import Crash, Refused
from worlds import BUCKET, NAME, QUIET, UploadWorld, event


def test_an_upload_starts_one_execution_with_its_data_set_and_fingerprint(world: UploadWorld) -> None:
    world.upload("datasets/birds/a/1.jpg")
    world.upload("datasets/birds/b/2.jpg", "bb")
    world.settle()
    (execution,) = world.executions()
    contents = [["a/1.jpg", 1, crc32(b"a")], ["b/2.jpg", 2, crc32(b"bb")]]
    canonical = json.dumps(["birds", contents], separators=(",", ":"))
    fingerprint = hashlib.sha256(canonical.encode()).hexdigest()[:32]
    assert execution.parameters == {"DataSet": "birds", "Fingerprint": fingerprint}
    assert execution.display_name == f"birds-{fingerprint[:8]}"


def test_the_manifest_names_every_object_and_the_contents_every_checksum(world: UploadWorld) -> None:
    for number in range(5):
        world.upload(f"datasets/birds/a/{number}.jpg", "x" * number)
    world.upload("datasets/birds/")  # a "folder" of the S3 console
    world.upload("datasets/birdsong/a/1.jpg")
    world.settle()
    folder = f"manifests/birds/{world.fingerprints()[0]}"
    keys = [f"a/{number}.jpg" for number in range(5)]
    assert world.document(f"{folder}/objects.manifest") == [{"prefix": f"s3://{BUCKET}/datasets/birds/"}, *keys]
    contents = world.document(f"{folder}/contents.json")
    assert (contents["data_set"], contents["fingerprint"]) == ("birds", world.fingerprints()[0])
    assert [(item["key"], item["size"]) for item in contents["objects"]] == [(key, n) for n, key in enumerate(keys)]
    assert all(item["checksum"].startswith("CRC32:") for item in contents["objects"])


def test_an_archive_is_a_data_set_by_its_whole_file_name(world: UploadWorld) -> None:
    world.upload("datasets/birds.zip")
    world.upload("datasets/birds.zip.part")
    world.settle()
    (execution,) = world.executions()
    folder = f"manifests/birds.zip/{execution.parameters['Fingerprint']}"
    assert execution.parameters["DataSet"] == "birds.zip"
    assert world.document(f"{folder}/objects.manifest") == [{"prefix": f"s3://{BUCKET}/datasets/"}, "birds.zip"]


@pytest.mark.parametrize("name", ["a+b c", "zwölf möwen", "100%", "a%2Bb", "x&y=z", "日本", "quote'\"", "a\\b"])
def test_keys_with_unusual_characters_are_decoded(world: UploadWorld, name: str) -> None:
    world.upload_and_settle(f"datasets/zwölf a+b/{name}.jpg")
    (execution,) = world.executions()
    assert execution.parameters["DataSet"] == "zwölf a+b"
    manifest = world.document(f"manifests/zwölf a+b/{execution.parameters['Fingerprint']}/objects.manifest")
    assert manifest == [{"prefix": f"s3://{BUCKET}/datasets/zwölf a+b/"}, f"{name}.jpg"]


def test_a_storm_of_events_sends_one_check(world: UploadWorld) -> None:
    for number in range(50):
        world.upload(f"datasets/birds/{number}.jpg")
    for message in list(world.cloud.queue):
        world.deliver(message)
    assert [json.loads(message.body)["headrace"] for message in world.cloud.queue] == ["check"]
    world.settle()
    assert len(world.executions()) == 1


def test_duplicate_and_reordered_events_start_one_execution(world: UploadWorld) -> None:
    for number in range(5):
        world.upload(f"datasets/birds/{number}.jpg")
    for message in reversed(list(world.cloud.queue)):
        world.deliver(message, keep=True)
        world.deliver(message)
    world.settle()
    assert len(world.executions()) == 1


def test_a_check_delivered_twice_starts_one_execution(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET
    world.deliver(world.cloud.queue[0], keep=True)
    world.deliver(world.cloud.queue[0])
    assert len(world.executions()) == 1


def test_two_data_sets_are_two_executions(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.upload("datasets/fish/1.jpg")
    world.settle()
    assert {execution.parameters["DataSet"] for execution in world.executions()} == {"birds", "fish"}


def test_the_same_content_uploaded_again_is_not_run_again(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg", "a")
    world.finish("Succeeded")
    world.upload_and_settle("datasets/birds/1.jpg", "a")
    assert len(world.executions()) == 1


def test_changed_content_under_an_old_key_is_run(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg", "a")
    world.upload_and_settle("datasets/birds/1.jpg", "b")
    assert len(set(world.fingerprints())) == 2


def test_content_that_returns_to_what_it_was_is_not_run_a_second_time(world: UploadWorld) -> None:
    for content in "aba":
        world.upload_and_settle("datasets/birds/1.jpg", content)
        world.finish("Succeeded")
    assert len(world.executions()) == 2
    assert world.document("manifests/birds/latest.json")["fingerprint"] == world.fingerprints()[0]


def test_a_removed_object_changes_the_content(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.upload_and_settle("datasets/birds/2.jpg")
    world.remove("datasets/birds/1.jpg")
    world.settle()
    assert len(set(world.fingerprints())) == 3


def test_an_emptied_data_set_starts_nothing(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.remove("datasets/birds/1.jpg")
    world.settle()
    assert world.executions() == []


def test_an_upload_that_goes_on_is_waited_for(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET - 20
    world.upload("datasets/birds/2.jpg")
    world.deliver(world.cloud.queue[1])
    world.cloud.now += 20
    world.deliver(world.cloud.queue[0])
    assert world.executions() == []
    assert world.cloud.queue[0].due == world.cloud.now + QUIET - 20  # quiet since the second object, no longer
    world.settle()
    manifest = f"manifests/birds/{world.fingerprints()[0]}/objects.manifest"
    assert world.document(manifest)[1:] == ["1.jpg", "2.jpg"]


def test_an_object_changed_during_the_check_is_looked_at_again(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg", "old")

    def replace(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "HeadObject") and parameters["Key"].startswith("datasets/"):
            world.cloud.interrupt = None
            world.upload("datasets/birds/1.jpg", "newer")

    world.cloud.interrupt = replace
    world.settle()
    (execution,) = world.executions()
    contents = world.document(f"manifests/birds/{execution.parameters['Fingerprint']}/contents.json")
    assert contents["objects"][0]["size"] == len("newer")


def test_an_event_that_comes_while_the_data_set_is_listed_is_not_lost(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")

    def upload(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("after", "ListObjectsV2"):
            world.cloud.interrupt = None
            world.upload("datasets/birds/2.jpg")
            world.deliver(world.cloud.queue[-1])

    world.cloud.interrupt = upload
    world.settle()
    manifest = f"manifests/birds/{world.fingerprints()[-1]}/objects.manifest"
    assert world.document(manifest)[1:] == ["1.jpg", "2.jpg"]


def test_a_crash_between_the_marker_and_the_check_is_made_good_by_the_redelivery(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.cloud.interrupt = crash_before("SendMessage")
    assert not world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    world.settle()
    assert len(world.executions()) == 1


def test_a_marker_whose_check_was_lost_expires(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.queue.clear()
    world.cloud.now += 2 * QUIET + 61
    world.upload_and_settle("datasets/birds/2.jpg")
    assert len(world.executions()) == 1


def test_an_event_needs_no_sagemaker_client(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    assert world.cloud.names() == ["GetObject", "PutObject", "SendMessage"]


def test_s3s_test_event_is_ignored(world: UploadWorld, logged: Any) -> None:
    world.send(event("s3_test_event"))
    world.settle()
    assert world.cloud.names() == []
    assert "test event" in logged()[0]["reason"]


@pytest.mark.parametrize(
    "key",
    [
        "pipelines/other.txt",
        "runs/x",
        "datasets/",
        "datasets/.DS_Store",
        "datasets/birds.zip.part",
        "datasets/pets/.DS_Store",
    ],
)
def test_a_key_that_is_part_of_no_data_set_is_ignored(world: UploadWorld, logged: Any, key: str) -> None:
    world.upload_and_settle(key)
    assert world.cloud.names() == []
    assert key in logged()[0]["reason"]


def test_an_event_of_another_bucket_is_ignored(world: UploadWorld) -> None:
    notification = event("s3_object_created")
    notification["Records"][0]["s3"]["bucket"]["name"] = "another-bucket"
    world.send(notification)
    world.settle()
    assert world.cloud.names() == []


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "{}",
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"headrace": "check"}',
        '{"headrace": "check", "data_set": "birds/a"}',
        '{"headrace": "dance", "data_set": "birds"}',
    ],
)
def test_a_malformed_message_is_dead_lettered_alone(world: UploadWorld, logged: Any, body: str) -> None:
    world.upload("datasets/birds/1.jpg")
    good = world.cloud.queue[0]
    world.cloud.send_message("", body)
    bad = world.cloud.queue[1]
    response = world.start(bad, good)
    assert response == {"batchItemFailures": []}
    assert [message.body for message in world.cloud.dead_letters] == [body]
    assert [line["type"] for line in logged() if line["level"] == "ERROR"] == ["MalformedEvent"]
    assert "SendMessage" in world.cloud.names()


def refused_start(world: UploadWorld, code: str) -> Any:
    """A check whose execution SageMaker refuses to start."""
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET

    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "StartPipelineExecution":
            raise Refused(code, "no")

    world.cloud.interrupt = refuse
    return world.cloud.queue[0]


def test_a_fault_of_aws_is_tried_again_later_each_time(world: UploadWorld, logged: Any) -> None:
    check, waits = refused_start(world, "ThrottlingException"), []
    for _ in range(4):
        world.cloud.now = max(world.cloud.now, check.due)
        assert not world.deliver(check)
        waits.append(check.due - world.cloud.now)
    assert waits == [15, 30, 60, 120]
    assert {line["type"] for line in logged() if line["level"] == "ERROR"} == {"ClientError"}
    world.cloud.interrupt = None
    world.settle()
    assert len(world.executions()) == 1


def test_a_missing_permission_is_dead_lettered_at_once_and_the_redrive_runs(world: UploadWorld, logged: Any) -> None:
    assert world.deliver(refused_start(world, "AccessDeniedException"))
    assert "AccessDeniedException" in world.cloud.dead_letters[0].reason
    (line,) = [line for line in logged() if line["level"] == "ERROR"]
    assert "AccessDeniedException" in line["error"]
    world.cloud.interrupt = None
    world.redrive()
    world.settle()
    assert len(world.executions()) == 1


def test_a_message_that_cannot_be_set_aside_stays_where_it_is(world: UploadWorld) -> None:
    check = refused_start(world, "AccessDeniedException")
    refuse = world.cloud.interrupt

    def refuse_all(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        assert refuse
        refuse(moment, operation, parameters)
        if operation == "SendMessage":
            raise Refused("AccessDenied", "no")

    world.cloud.interrupt = refuse_all
    assert not world.deliver(check)
    assert not world.cloud.dead_letters


def test_a_write_that_s3_calls_a_conflict_is_tried_again(world: UploadWorld) -> None:
    conflicts = iter([True, True, False])

    def conflict(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "PutObject") and next(conflicts, False):
            raise Refused("ConditionalRequestConflict", "a conflicting operation", 409)

    world.cloud.interrupt = conflict
    world.upload_and_settle("datasets/birds/1.jpg")
    assert len(world.executions()) == 1


def test_the_definition_put_with_the_data_is_bound_for_the_execution(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    definition = json.loads(world.executions()[0].definition)
    assert definition["Steps"][0]["Arguments"]["RoleArn"] == world.environment.bindings["JobRoleArn"]
    assert world.cloud.pipelines[NAME]["Tags"] == [{"Key": "headrace:project", "Value": "headrace"}]


def crc32(content: bytes) -> str:
    return f"CRC32:{base64.b64encode(zlib.crc32(content).to_bytes(4, 'big')).decode()}"


def crash_before(operation: str) -> Any:
    def interrupt(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if (moment, name) == ("before", operation):
            raise Crash

    return interrupt
