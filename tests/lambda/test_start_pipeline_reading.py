"""The trigger reads data sets as the job does, and refuses what is plainly implausible before anything is paid for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from data_set_samples import image, images
from fake_aws import Crash
from worlds import BUCKET, QUIET, UploadWorld

ARGUMENTS = ["preprocess.py", "--max-skipped-share", "0.05"]


@pytest.fixture
def reading(world: UploadWorld) -> UploadWorld:
    """A world whose definition prepares data sets with preprocess.py."""

    def prepare(definition: dict[str, Any]) -> None:
        definition["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"] = ARGUMENTS

    world.put_definition(prepare)
    world.settle()
    return world


def put(world: UploadWorld, files: dict[str, bytes], name: str = "pets") -> None:
    for path, content in files.items():
        world.cloud.put(BUCKET, f"datasets/{name}/{path}", content)
    world.cloud.now += QUIET + 1
    world.send({"headrace": "check", "data_set": name})


def settle(world: UploadWorld) -> list[str]:
    """The reasons of what is dead-lettered."""
    while world.cloud.queue:
        message = min(world.cloud.queue, key=lambda message: message.due)
        world.cloud.now = max(world.cloud.now, message.due)
        world.deliver(message)
    return [letter.reason for letter in world.cloud.dead_letters]


SOUND = images({"cat": 3, "dog": 3})


def test_class_folders_are_run(reading: UploadWorld) -> None:
    put(reading, {**SOUND, "README.txt": b"licence: none", "cat/.DS_Store": b"x"})
    assert settle(reading) == []
    (execution,) = reading.executions()
    manifest = reading.document(f"manifests/pets/{execution.parameters['Fingerprint']}/objects.manifest")
    assert manifest[1:] == sorted([*SOUND, "README.txt"])


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (images({"cat": 3}), "one class only: cat"),
        ({"1.png": image(1), **SOUND}, "lies in no class folder"),
        (images({"a/cat": 3, "a/dog": 3, "b/cat": 2, "b/dog": 2}), "hold folders of the same names"),
        (images({"cat": 3, "dog": 3, "test": 3}), "named like a split"),
        ({**SOUND, "dog/again.png": SOUND["cat/0.png"]}, "in two classes with the same bytes"),
        (images({"m\u00f6we": 3, "mo\u0308we": 3}), "differ only in case"),
        (images({"cat": 3, "dog\u202e": 3}), r"cannot be printed: dog\u202e"),
        ({**SOUND, **images({"cat": 1, "dog": 1}, ".HEIC")}, "2 of 8 images cannot be read"),
    ],
    ids=["one class", "unclassed", "repeated", "split name", "two classes", "normalisation", "marks", "skipped"],
)
def test_what_is_implausible_is_dead_lettered_with_its_reason_and_notified(
    reading: UploadWorld, files: dict[str, bytes], reason: str
) -> None:
    put(reading, files)
    (said,) = settle(reading)
    assert said.startswith("DataSetError: data set pets: ")
    assert reason in said
    assert "hint: " in said
    assert reading.executions() == []
    assert [notice["kind"] for notice in reading.cloud.notices] == ["set-aside"]


def test_training_images_in_the_test_set_are_refused_with_all_else_that_is_wrong(reading: UploadWorld) -> None:
    files = images({"train/cat": 3, "train/dog": 3, "test/cat": 2})
    put(reading, {**files, "test/cat/copy.png": files["train/cat/0.png"]})
    (said,) = settle(reading)
    assert "test has no usable image of 1 of 2 classes: dog" in said
    assert "1 images of the test set are also trained on" in said


def test_equal_checksums_of_other_bytes_are_no_copies(reading: UploadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = image(1, size=(12, 10)), image(2, size=(12, 10))
    length = max(len(first), len(second))
    padded = [content + bytes(length - len(content)) for content in (first, second)]
    put(reading, {**SOUND, "cat/x.png": padded[0], "dog/x.png": padded[1]})
    monkeypatch.setattr("fake_s3.zlib.crc32", lambda content: 7)
    assert settle(reading) == []
    assert len(reading.executions()) == 1


def test_a_data_set_that_says_so_is_taken(reading: UploadWorld) -> None:
    put(reading, {**images({"cat": 3, "test": 3}), "dataset.toml": b'accept = ["class-named-like-a-split"]'})
    assert settle(reading) == []
    assert len(reading.executions()) == 1


def test_a_definition_without_preprocess_is_given_any_data(world: UploadWorld) -> None:
    put(world, {"sales.parquet": b"PAR1"})
    assert settle(world) == []
    assert len(world.executions()) == 1


def test_files_whose_suffix_says_nothing_are_looked_at(reading: UploadWorld) -> None:
    put(reading, {name.removesuffix(".png"): content for name, content in SOUND.items()})
    assert settle(reading) == []
    assert len(reading.executions()) == 1


def test_junk_that_changes_starts_nothing(reading: UploadWorld) -> None:
    put(reading, {**SOUND, "cat/.DS_Store": b"1"})
    settle(reading)
    reading.finish("Succeeded")
    put(reading, {"cat/.DS_Store": b"2", "Thumbs.db": b"3", "__MACOSX/cat/._0.png": b"4", "Icon\r": b""})
    assert settle(reading) == []
    assert len(reading.executions()) == 1


def test_junk_does_not_keep_a_data_set_from_being_quiet(reading: UploadWorld) -> None:
    put(reading, SOUND)
    reading.cloud.put(BUCKET, "datasets/pets/.DS_Store", b"new")
    check = reading.cloud.queue[-1]
    reading.deliver(check)
    assert len(reading.executions()) == 1


def test_a_deletion_under_way_starts_nothing(world: UploadWorld) -> None:
    for number in range(12):
        world.upload(f"datasets/pets/{number}.jpg", str(number))
    world.settle()
    assert len(world.executions()) == 1
    world.finish("Succeeded")
    world.cloud.now += 10 * QUIET
    for number in range(12):  # slower than the quiet period: a check comes while objects are still there
        world.remove(f"datasets/pets/{number}.jpg")
        world.cloud.now += QUIET / 2
        while (message := min(world.cloud.queue, key=lambda m: m.due, default=None)) and message.due <= world.cloud.now:
            world.deliver(message)
    world.settle()
    assert len(world.executions()) == 1


def test_what_is_left_after_a_deletion_is_run_a_quiet_period_later(world: UploadWorld) -> None:
    for number in range(3):
        world.upload(f"datasets/pets/{number}.jpg", str(number))
    world.settle()
    world.finish("Succeeded")
    world.cloud.now += 10 * QUIET
    world.remove("datasets/pets/0.jpg")
    began = world.cloud.now
    world.settle()
    assert len(world.executions()) == 2
    assert 2 * QUIET <= world.cloud.now - began < 4 * QUIET


def test_a_folder_of_unusable_objects_is_told_once(world: UploadWorld) -> None:
    for number in range(5):
        world.upload(f"datasets/birds.zip/{number}.jpg")
    world.upload("datasets/birds.rar")
    (first, second) = settle(world)
    assert "named like an archive" in first
    assert "headrace upload FOLDER" in second
    assert len(world.cloud.notices) == 2
    world.cloud.now += 3_601
    world.upload("datasets/birds.rar")
    assert len(settle(world)) == 3


def test_an_object_that_vanishes_while_it_is_read_does_not_stop_the_run(reading: UploadWorld) -> None:
    put(reading, {**SOUND, "cat/notes": b"text"})

    def vanish(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "GetObject") and "Range" in parameters:
            reading.cloud.interrupt = None
            reading.cloud.put(BUCKET, "datasets/pets/cat/notes", None)

    reading.cloud.interrupt = vanish
    assert settle(reading) == []
    assert len(reading.executions()) == 1


def test_a_check_that_waits_for_vanishing_objects_survives_a_crash(world: UploadWorld) -> None:
    for number in range(3):
        world.upload(f"datasets/pets/{number}.jpg", str(number))
    world.settle()
    world.finish("Succeeded")
    world.cloud.now += 10 * QUIET
    world.remove("datasets/pets/0.jpg")

    def crash(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "SendMessage") and '"seen"' in str(parameters["MessageBody"]):
            world.cloud.interrupt = None
            raise Crash

    world.cloud.interrupt = crash
    while world.cloud.queue:
        message = min(world.cloud.queue, key=lambda message: message.due)
        world.cloud.now = max(world.cloud.now, message.due)
        world.deliver(message)
    assert len(world.executions()) == 2
    assert json.loads(world.executions()[0].definition)
