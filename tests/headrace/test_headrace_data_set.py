"""What is wrong with a data set is said before a byte is sent."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_set_samples import HEIC, image, raw_zip

from headrace.client.data_set import read_data_set
from headrace.errors import UsageError


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(image(name))
    return root


def test_class_folders_become_keys_below_the_data_sets_name(tmp_path: Path) -> None:
    data_set = read_data_set(images(tmp_path / "birds", "robin/1.jpg", "wren/ä b+.PNG", "wren/deep/2.jpeg"))
    assert [file.key for file in data_set.files] == [
        "datasets/birds/robin/1.jpg",
        "datasets/birds/wren/deep/2.jpeg",
        "datasets/birds/wren/ä b+.PNG",
    ]
    assert data_set.reading is not None
    assert data_set.reading.problems == ()


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("robin/1.jpg", "wren/1.jpg"), None),
        (("train/robin/1.jpg", "val/robin/2.jpg", "train/wren/1.jpg", "val/wren/2.jpg"), None),
        (("around/robin/1.jpg", "around/wren/1.jpg"), None),
        (("robin/1.jpg", "robin/2.jpg"), "one class only: robin"),
        (("train/robin/1.jpg", "test/robin/2.jpg"), "one class only: robin"),
        (("around/robin/1.jpg",), "one class only: robin"),
        (("train/robin/1.jpg", "train/wren/1.jpg", "val/robin/2.jpg"), "validation has no usable image of 1 of 2"),
    ],
)
def test_what_the_job_would_refuse_is_a_problem_here(
    tmp_path: Path, names: tuple[str, ...], problem: str | None
) -> None:
    reading = read_data_set(images(tmp_path / "birds", *names)).reading
    assert reading is not None
    assert bool(reading.problems) == bool(problem)
    assert problem is None or problem in reading.problems[0].message


def test_junk_is_left_out_and_other_files_are_sent_and_listed(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", *(f"{label}/{number}.jpg" for label in "ab" for number in range(20)))
    for name in (".DS_Store", "a/._1.jpg", "__MACOSX/a/1.jpg", "Icon\r", ".git/HEAD"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"junk")
    (root / "b/notes.txt").write_text("text")
    (root / "README.md").write_text("text")
    data_set = read_data_set(root)
    assert len(data_set.files) == 42
    assert data_set.reading is not None
    assert {left.path: left.counts for left in data_set.reading.left_out} == {"README.md": False, "b/notes.txt": True}
    assert len(data_set.reading.junk) == 5
    assert data_set.reading.problems == ()


def test_files_are_judged_by_their_content(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", *(f"{label}/{number}.JPG_large" for label in "ab" for number in range(30)))
    images(root, "a/0d41d8c", "b/photo.jpe", "b/notes.txt")
    (root / "a/broken.jpg").write_text("not an image")
    (root / "a/phone.jpg").write_bytes(HEIC)
    reading = read_data_set(root).reading
    assert reading is not None
    assert len(reading.samples) == 63
    assert {left.path: left.reason for left in reading.left_out} == {
        "a/broken.jpg": "not an image but text",
        "a/phone.jpg": "HEIC, which needs the line pi-heif==1.4.0 in training/requirements.in",
    }
    assert reading.problems == ()


def test_the_lists_of_cub_and_a_table_are_sent(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", "images/1.jpg", "images/2.jpg")
    (root / "labels.csv").write_text("file_name,label\nimages/1.jpg,robin\nimages/2.jpg,wren\n")
    data_set = read_data_set(root)
    assert "datasets/birds/labels.csv" in [file.key for file in data_set.files]
    assert data_set.reading is not None
    assert data_set.reading.classes == ["robin", "wren"]


def test_a_data_set_of_another_kind_is_sent_unread(tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales/2026.parquet").write_bytes(b"PAR1")
    data_set = read_data_set(tmp_path / "sales", check=False)
    assert data_set.reading is None
    assert len(data_set.files) == 1


def test_a_link_within_the_data_set_is_followed(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", "a/1.jpg", "b/1.jpg")
    (root / "b" / "2.jpg").symlink_to(root / "a" / "1.jpg")
    assert [file.key.rpartition("/")[2] for file in read_data_set(root).files] == ["1.jpg", "1.jpg", "2.jpg"]


def outside_link(root: Path) -> None:
    (root.parent / "secret.jpg").write_bytes(b"x")
    (root / "a" / "2.jpg").symlink_to(root.parent / "secret.jpg")


def outside_folder(root: Path) -> None:
    images(root.parent / "elsewhere", "1.jpg")
    (root / "c").symlink_to(root.parent / "elsewhere")


def loop(root: Path) -> None:
    (root / "a" / "again").symlink_to(root)


def dangling(root: Path) -> None:
    (root / "a" / "2.jpg").symlink_to(root / "gone.jpg")


def pipe(root: Path) -> None:
    os.mkfifo(root / "a" / "2.jpg")


def undecodable(root: Path) -> None:
    (root / "a" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")


def line_break(root: Path) -> None:
    (root / "a" / "1\n2.jpg").write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (outside_link, "outside the data set"),
        (outside_folder, "outside the data set"),
        (loop, "would count twice"),
        (dangling, "a link to nothing"),
        (pipe, "not a regular file"),
        (undecodable, "cannot be an object's key"),
        (line_break, "cannot be an object's key"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(tmp_path: Path, spoil: Callable[[Path], None], expected: str) -> None:
    root = images(tmp_path / "birds", "a/1.jpg", "b/1.jpg")
    spoil(root)
    with pytest.raises(UsageError, match=expected) as refused:
        read_data_set(root)
    assert refused.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", "a/1.jpg", "b/1.jpg")
    (root / "a" / "1.jpg").chmod(0)
    with pytest.raises(UsageError, match=r"cannot read a/1\.jpg"):
        read_data_set(root)


@pytest.mark.parametrize("name", ["", "a b", "-x", "../up", "x" * 101, "birds.zip", "BIRDS.ZIP"])
def test_a_name_that_cannot_be_a_folders_is_refused(tmp_path: Path, name: str) -> None:
    root = images(tmp_path / "birds", "a/1.jpg")
    if name:
        with pytest.raises(UsageError):
            read_data_set(root, name)
    else:
        assert read_data_set(root, name).name == "birds"


def test_a_folder_without_images_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds/1.txt").write_text("text")
    reading = read_data_set(tmp_path / "birds").reading
    assert reading is not None
    assert "holds no images (1 other file)" in reading.problems[0].message


@pytest.mark.parametrize(
    ("chosen", "expected"), [(None, "old.tar.gz"), ("new", "new.tar.gz"), ("n.tar.gz", "n.tar.gz")]
)
def test_an_archive_keeps_its_suffix_in_its_name(tmp_path: Path, chosen: str | None, expected: str) -> None:
    with tarfile.open(tmp_path / "old.tar.gz", "w:gz") as archive:
        archive.add(images(tmp_path / "birds", "a/1.jpg"), "birds")
    data_set = read_data_set(tmp_path / "old.tar.gz", chosen)
    assert (data_set.name, data_set.location) == (expected, f"datasets/{expected}")


def test_an_archive_may_be_named_in_capitals(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "BIRDS.ZIP", "w") as archive:
        archive.writestr("red/1.png", image(1))
    assert read_data_set(tmp_path / "BIRDS.ZIP").location == "datasets/BIRDS.ZIP"


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as archive:
        archive.writestr("a/1.jpg", "x" * 1000)
    (tmp_path / "birds.zip").write_bytes((tmp_path / "birds.zip").read_bytes()[:50])
    with pytest.raises(UsageError, match=r"birds\.zip cannot be unpacked"):
        read_data_set(tmp_path / "birds.zip")


def test_an_archive_of_another_kind_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "birds.7z").write_bytes(b"7z")
    with pytest.raises(UsageError, match="another kind") as refused:
        read_data_set(tmp_path / "birds.7z")
    assert refused.value.hint == "unpack it, then: headrace upload FOLDER"


def test_an_archive_is_read_without_being_unpacked(tmp_path: Path) -> None:
    names = [f"{label}/{number}.jpg" for label in ("ソース", "ソーダ") for number in range(2)]
    archive = raw_zip(tmp_path / "foods.zip", {name.encode("cp932"): image(name) for name in names})
    reading = read_data_set(archive).reading
    assert reading is not None
    assert reading.classes == ["ソース", "ソーダ"]
