"""Uploads into a real S3."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_set_samples import image
from scripted_cloud import FakeCloud, Result

from headrace.client.environment import Environment
from headrace.commands.upload import PART_SIZE
from headrace.terminal.progress import UploadProgress

Storage = tuple[FakeCloud, Environment]


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    for name in ("robin/1.jpg", "robin/ü +&.jpg", "wren/1.png"):
        (tmp_path / "birds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "birds" / name).write_bytes(image(name, "JPEG" if name.endswith("jpg") else "PNG"))
    return tmp_path / "birds"


def keys(environment: Environment) -> list[str]:
    listed = environment.client("s3").list_objects_v2(Bucket=environment.stack.data_bucket)
    return [item["Key"] for item in listed.get("Contents", [])]


def test_an_uploaded_folder_is_there_with_checksums(
    headrace: Callable[..., Result], storage: Storage, birds: Path
) -> None:
    cloud, environment = storage
    result = headrace("upload", str(birds), on=cloud)
    assert result.status == 0, result.err
    bucket = environment.stack.data_bucket
    assert result.out == f"s3://{bucket}/datasets/birds/\n"
    assert "3 files sent, 0 already there" in result.err
    assert "next: headrace watch --after 2" in result.err
    for file in birds.rglob("*.*g"):
        key = f"datasets/birds/{file.relative_to(birds)}"
        there = environment.client("s3").get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert there["Body"].read() == file.read_bytes()
        assert there["ChecksumCRC32"]
        assert there["ContentType"] in ("image/jpeg", "image/png")


def test_what_is_there_already_is_not_sent_again(
    headrace: Callable[..., Result], storage: Storage, birds: Path
) -> None:
    cloud, _ = storage
    headrace("upload", str(birds), on=cloud)
    (birds / "wren" / "1.png").write_bytes((birds / "wren" / "1.png").read_bytes()[:-1] + b"W")  # of the same size
    changed = headrace("upload", str(birds), "--json", on=cloud)
    assert (changed.data["sent"], changed.data["skipped"]) == (1, 2)
    same = headrace("upload", str(birds), on=cloud)
    assert "0 files sent, 3 already there" in same.err
    assert "next: headrace run --again birds" in same.err


def test_objects_that_the_folder_no_longer_holds_stay_until_delete(
    headrace: Callable[..., Result], storage: Storage, birds: Path
) -> None:
    cloud, environment = storage
    headrace("upload", str(birds), on=cloud)
    headrace("upload", str(birds), "--name", "birds2", on=cloud)
    (birds / "robin" / "1.jpg").unlink()
    warned = headrace("upload", str(birds), on=cloud)
    assert "1 object of birds is not in" in warned.err
    assert "datasets/birds/robin/1.jpg" in keys(environment)
    deleted = headrace("upload", str(birds), "--delete", on=cloud)
    assert "1 object deleted" in deleted.err
    assert "datasets/birds/robin/1.jpg" not in keys(environment)
    assert "datasets/birds2/robin/1.jpg" in keys(environment)


def test_a_large_archive_is_sent_in_parts_and_once(
    headrace: Callable[..., Result], storage: Storage, tmp_path: Path
) -> None:
    cloud, environment = storage
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as archive:
        archive.writestr("a/1.jpg", image(1, "JPEG") + bytes(PART_SIZE + 1000))
        archive.writestr("b/1.jpg", image(2, "JPEG"))
    first = headrace("upload", str(tmp_path / "large.zip"), "--name", "birds", "--delete", on=cloud)
    assert first.status == 0, first.err
    assert first.out.endswith("/datasets/birds.zip\n")
    assert "--delete has no effect" in first.err
    assert keys(environment) == ["datasets/birds.zip"]
    again = headrace("upload", str(tmp_path / "large.zip"), "--name", "birds", "--json", on=cloud)
    assert (again.data["sent"], again.data["skipped"]) == (0, 1)


def test_an_interrupted_upload_says_how_to_go_on_and_does(
    headrace: Callable[..., Result], storage: Storage, birds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud, _ = storage
    for number in range(200):
        (birds / "robin" / f"more{number}.jpg").write_bytes(image(number, "JPEG"))

    def interrupted(progress: UploadProgress) -> None:
        progress.files += 1
        if progress.files == 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(UploadProgress, "done", interrupted)
        result = headrace("upload", str(birds), on=cloud)
    assert result.status == 130
    found = re.search(r"error: interrupted after (\d+) of 203 files", result.err)
    assert found, result.err
    assert 20 <= int(found[1]) < 203  # those that were on their way then have arrived
    assert f"hint: headrace upload {birds}   # goes on where this stopped" in result.err
    rest = headrace("upload", str(birds), "--json", on=cloud)
    assert rest.status == 0, rest.err
    assert rest.data["skipped"] >= int(found[1])
    assert rest.data["sent"] == 203 - rest.data["skipped"] > 0


def test_a_bad_folder_is_refused_before_anything_is_sent(
    headrace: Callable[..., Result], storage: Storage, tmp_path: Path
) -> None:
    cloud, environment = storage
    (tmp_path / "empty").mkdir()
    for path in ("empty", "gone", "cdk.json"):
        result = headrace("upload", str(tmp_path / path), on=cloud)
        assert result.status == 2
        assert result.err.startswith("error: ")
        assert "\n\nhint: " in result.err
    assert keys(environment) == []


def test_run_again_asks_the_queue_for_a_known_data_set(
    headrace: Callable[..., Result], storage: Storage, birds: Path
) -> None:
    cloud, environment = storage
    headrace("upload", str(birds), on=cloud)
    result = headrace("run", "--again", "birds", on=cloud)
    assert result.status == 0, result.err
    assert "next: headrace watch --after" in result.err
    queue = environment.client("sqs").receive_message(QueueUrl=environment.stack.upload_queue_url)
    assert json.loads(queue["Messages"][0]["Body"]) == {"headrace": "run-again", "data_set": "birds"}
    unknown = headrace("run", "--again", "cats", on=cloud)
    assert unknown.status == 1
    assert "there is no data set 'cats'; there is birds" in unknown.err
    assert "hint: headrace run --again birds" in unknown.err


def test_run_needs_again(headrace: Callable[..., Result]) -> None:
    result = headrace("run", "birds")
    assert result.status == 2
    assert "headrace run --again" in result.err


def test_junk_in_the_bucket_is_not_part_of_the_data_set(
    headrace: Callable[..., Result], storage: Storage, birds: Path
) -> None:
    cloud, environment = storage
    bucket = environment.stack.data_bucket
    environment.client("s3").put_object(Bucket=bucket, Key="datasets/birds/.DS_Store", Body=b"x")
    result = headrace("upload", str(birds), "--json", on=cloud)
    assert result.data["extra"] == 0
    headrace("upload", str(birds), "--delete", on=cloud)
    assert "datasets/birds/.DS_Store" not in keys(environment)
