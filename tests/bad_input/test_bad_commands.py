"""Commands that name what is not there, or that are interrupted: real processes against a real local cloud."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_samples import write_pictures
from pipeline_runs import free_port

from local_cloud import process
from local_cloud.process import Running

SECTION = "Commands"
OUTPUT = "command output of "

Row = Callable[..., None]
Headrace = Callable[..., str]


def error_in(said: str) -> str:
    """Without the report on the data set that comes before it."""
    return said[said.index("error:") :]


def test_a_stack_that_is_not_deployed(row: Row, headrace: Headrace, state: Path, tmp_path: Path) -> None:
    process.start(state, port=free_port())
    data = write_pictures(tmp_path / "birds", {"red": 1, "blue": 1})
    said = headrace(state, "upload", data)
    row("a stack that is not deployed", f"{OUTPUT}`upload` and others", error_in(said))


def test_a_bucket_that_is_gone(
    row: Row, headrace: Headrace, cloud: Running, connect: Callable[[str], Any], stack: str, tmp_path: Path
) -> None:
    data = write_pictures(tmp_path / "birds", {"red": 1, "blue": 1})
    connect("s3").delete_bucket(Bucket=stack)
    said = headrace(cloud.state, "upload", data)
    connect("s3").create_bucket(Bucket=stack)
    row("a data bucket that was deleted", f"{OUTPUT}`upload`", error_in(said))


@pytest.mark.parametrize(("name", "given"), [
    ("nope", "an environment that environments.toml does not have: `--env nope`"),
    ("Bad Name", "what cannot be the name of an environment: `--env 'Bad Name'`"),
])  # fmt: skip
def test_an_unknown_environment(row: Row, headrace: Headrace, cloud: Running, name: str, given: str) -> None:
    row(given, f"{OUTPUT}`headrace --env`", headrace(cloud.state, "--env", name, "runs"))


def test_a_local_command_for_aws(row: Row, headrace: Headrace, cloud: Running) -> None:
    said = headrace(cloud.state, "--env", "dev", "destroy", status=2)
    row("a command of the local cloud for another environment", f"{OUTPUT}`headrace --env dev destroy`", said)


def test_an_upload_without_images(row: Row, headrace: Headrace, cloud: Running, tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    said = headrace(cloud.state, "upload", tmp_path / "birds", status=2)
    row("a folder without images", f"{OUTPUT}`upload`", said)


def test_an_upload_of_one_class(row: Row, headrace: Headrace, cloud: Running, stack: str, tmp_path: Path) -> None:
    said = headrace(cloud.state, "upload", write_pictures(tmp_path / "birds", {"red": 2}), status=2)
    row("a folder of one class", f"{OUTPUT}`upload`", error_in(said))


def test_an_upload_of_folders_that_repeat_each_other(
    row: Row, headrace: Headrace, cloud: Running, stack: str, tmp_path: Path
) -> None:
    data = write_pictures(tmp_path / "birds", {"first/red": 2, "first/blue": 2, "second/red": 2, "second/blue": 2})
    said = headrace(cloud.state, "inspect", data, status=2)
    row("folders that repeat each other: splits under other names, or copies", f"{OUTPUT}`upload` and `inspect`",
        error_in(said))  # fmt: skip


def test_an_upload_of_test_images_that_are_trained_on(
    row: Row, headrace: Headrace, cloud: Running, stack: str, tmp_path: Path
) -> None:
    data = write_pictures(tmp_path / "birds", {"train/red": 4, "train/blue": 4, "test/red": 2, "test/blue": 2})
    (data / "test/red/copy.png").write_bytes((data / "train/red/0.png").read_bytes())
    (data / "train/blue/copy.png").write_bytes((data / "train/red/1.png").read_bytes())
    said = headrace(cloud.state, "inspect", data, status=2)
    row("a test image that is trained on, and an image in two classes", f"{OUTPUT}`upload` and `inspect`",
        error_in(said))  # fmt: skip


def test_a_deletion_that_is_not_confirmed(
    row: Row, headrace: Headrace, cloud: Running, connect: Callable[[str], Any], stack: str
) -> None:
    connect("s3").put_object(Bucket=stack, Key="datasets/kept/red/1.jpg", Body=b"1")
    row("a data set to delete, without `--yes`", f"{OUTPUT}`delete`", headrace(cloud.state, "delete", "kept", status=2))
    row("a data set to delete that is not there", f"{OUTPUT}`delete`", headrace(cloud.state, "delete", "gone"))
    assert headrace(cloud.state, "delete", "kept", "--yes", status=0).startswith("deleted 1 object")


def test_an_upload_of_a_damaged_archive(row: Row, headrace: Headrace, cloud: Running, tmp_path: Path) -> None:
    (tmp_path / "birds.zip").write_bytes(b"no zip at all")
    said = headrace(cloud.state, "upload", tmp_path / "birds.zip", status=2)
    row("an archive that is none", f"{OUTPUT}`upload`", said)


def test_an_upload_of_a_link_to_elsewhere(row: Row, headrace: Headrace, cloud: Running, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "birds", {"red": 1, "blue": 1})
    (data / "red/secret.png").symlink_to("/etc/passwd")
    row("a folder with a link out of it", f"{OUTPUT}`upload`", headrace(cloud.state, "upload", data, status=2))


def test_an_interrupted_upload(
    row: Row, interruptible: Callable[..., Any], headrace: Headrace, cloud: Running,
    connect: Callable[[str], Any], stack: str, tmp_path: Path,
) -> None:  # fmt: skip
    data = write_pictures(tmp_path / "interrupted", {"red": 1, "blue": 1})
    content = (data / "red/0.png").read_bytes()
    for index in range(2000):
        (data / f"{'red' if index % 2 else 'blue'}/{index}.png").write_bytes(content + b"%d" % index)
    upload = interruptible(cloud.state, "upload", data)
    deadline = time.monotonic() + 20
    while not connect("s3").list_objects_v2(Bucket=stack, Prefix="datasets/interrupted/").get("KeyCount"):
        assert upload.poll() is None
        assert time.monotonic() < deadline
    upload.send_signal(signal.SIGINT)
    _, said = upload.communicate(timeout=30)
    assert upload.returncode == 130, said
    assert "Traceback" not in said
    row("Ctrl-C during an upload", f"{OUTPUT}`upload`; status 130", error_in(said))
    there = connect("s3").list_objects_v2(Bucket=stack, Prefix="datasets/interrupted/")["KeyCount"]
    assert 0 < there < 2001
