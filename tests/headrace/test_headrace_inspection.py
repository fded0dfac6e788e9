"""What would be learned from a data set is shown before it is sent, and as it lies in the bucket; it can be deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data_set_samples import HEIC, images, write, zipped
from scripted_cloud import FakeCloud, Result

from headrace.client.environment import Environment

Storage = tuple[FakeCloud, Environment]
Headrace = Callable[..., Result]

PETS = {**images({"pets/train/cat": 24, "pets/train/dog": 20, "pets/test/cat": 4, "pets/test/dog": 3}),
        "README.txt": b"licence: none", "pets/train/cat/phone.jpg": HEIC, "pets/.DS_Store": b"x"}  # fmt: skip
REPORT = """\
{name}: split folders in pets/, 51 images of 2 classes
  class  train  test
  cat       24     4
  dog       20     3
left out, not an image but text: 1 file: README.txt
left out, HEIC, which needs the line pi-heif==1.4.0 in training/requirements.in, \
counted: 1 file: pets/train/cat/phone.jpg
junk, never part of a data set: 1 file: pets/.DS_Store
"""


def test_a_folder_is_shown_without_a_cloud(headrace: Headrace, tmp_path: Path) -> None:
    shown = headrace("inspect", str(write(tmp_path / "data", PETS)))
    assert shown.status == 0, shown.err
    assert shown.out == REPORT.format(name="folder")


def test_an_archive_is_shown(headrace: Headrace, tmp_path: Path) -> None:
    shown = headrace("inspect", str(zipped(tmp_path / "pets.zip", {**PETS, "pets/.DS_Store": b"x"})))
    assert shown.status == 0, shown.err
    assert shown.out == REPORT.format(name="pets.zip").replace(REPORT.splitlines(keepends=True)[-1], "")


def test_what_would_be_refused_is_said_with_every_reason(headrace: Headrace, tmp_path: Path) -> None:
    files = {**images({"cat": 3, "Cat": 2, "test": 2}), "stray.png": images({"x": 1})["x/0.png"]}
    shown = headrace("inspect", str(write(tmp_path / "data", files)))
    assert shown.status == 2
    assert "3 problems: (1) the image stray.png lies in no class folder; (2) test is named like a split" in shown.err
    assert "(3) class names differ only in case" in shown.err
    assert 'accept = ["class-named-like-a-split", "similar-names"]' in shown.err


def test_json_holds_every_class_file_and_problem(headrace: Headrace, tmp_path: Path) -> None:
    shown = headrace("inspect", str(write(tmp_path / "data", PETS)), "--json")
    assert shown.data["classes"] == {"cat": {"train": 24, "test": 4}, "dog": {"train": 20, "test": 3}}
    assert shown.data["left_out"][1]["files"] == ["pets/train/cat/phone.jpg"]
    assert shown.data["problems"] == []


def test_an_upload_shows_the_same_text_and_what_lies_in_the_bucket_is_shown_again(
    headrace: Headrace, storage: Storage, tmp_path: Path
) -> None:
    cloud, _ = storage
    sent = headrace("upload", str(write(tmp_path / "shelter", PETS)), "--name", "housed", on=cloud)
    assert sent.status == 0, sent.err
    assert REPORT.format(name="housed") in sent.err
    assert "53 files sent" in sent.err
    there = headrace("inspect", "housed", on=cloud)
    assert there.status == 0, there.err
    # A presumed image is judged when it is decoded.
    assert "52 images of 2 classes" in there.out
    assert "README.txt" in there.out
    again = headrace("inspect", "datasets/housed/", on=cloud)
    assert again.out == there.out


def test_an_archive_in_the_bucket_is_shown(headrace: Headrace, storage: Storage, tmp_path: Path) -> None:
    cloud, _ = storage
    archive = zipped(tmp_path / "pets.zip", PETS)
    assert headrace("upload", str(archive), "--name", "zipped", on=cloud).status == 0
    shown = headrace("inspect", "zipped.zip", on=cloud)
    assert shown.status == 0, shown.err
    assert "51 images of 2 classes" in shown.out


def test_an_upload_that_the_job_would_refuse_sends_nothing_unless_it_is_not_to_be_checked(
    headrace: Headrace, storage: Storage, tmp_path: Path
) -> None:
    cloud, environment = storage
    folder = write(tmp_path / "flat", {"sales.parquet": b"PAR1"})
    refused = headrace("upload", str(folder), on=cloud)
    assert refused.status == 2
    assert "cannot be learned from" in refused.err
    listed = environment.client("s3").list_objects_v2(Bucket=environment.stack.data_bucket, Prefix="datasets/flat/")
    assert listed["KeyCount"] == 0
    assert headrace("upload", str(folder), "--no-check", on=cloud).status == 0


@pytest.mark.parametrize("name", ["doomed", "datasets/doomed/"])
def test_a_data_set_is_deleted_when_that_is_confirmed(
    headrace: Headrace, storage: Storage, tmp_path: Path, name: str
) -> None:
    cloud, environment = storage
    headrace("upload", str(write(tmp_path / "doomed", images({"cat": 2, "dog": 2}))), on=cloud)
    refused = headrace("delete", name, on=cloud)
    assert refused.status == 2
    assert "nothing was deleted: 4 objects" in refused.err
    assert "hint: headrace delete doomed --yes" in refused.err
    assert headrace("delete", name, "--yes", on=cloud).status == 0
    listed = environment.client("s3").list_objects_v2(Bucket=environment.stack.data_bucket, Prefix="datasets/doomed")
    assert listed["KeyCount"] == 0
    gone = headrace("delete", name, "--yes", on=cloud)
    assert gone.status == 1
    assert "there is no data set doomed" in gone.err
