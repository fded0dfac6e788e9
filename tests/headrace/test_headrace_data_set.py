"""What is wrong with a data set is said before a byte is sent."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.data_set import read_data_set
from headrace.errors import UsageError


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_class_folders_become_keys_below_the_data_sets_name(tmp_path: Path) -> None:
    data_set = read_data_set(images(tmp_path / "birds", "robin/1.jpg", "wren/ä b+.PNG", "wren/deep/2.jpeg"))
    assert [file.key for file in data_set.files] == [
        "datasets/birds/robin/1.jpg",
        "datasets/birds/wren/deep/2.jpeg",
        "datasets/birds/wren/ä b+.PNG",
    ]
    assert data_set.warnings == ()


@pytest.mark.parametrize(
    ("names", "one_class"),
    [
        (("robin/1.jpg", "wren/1.jpg"), None),
        (("train/robin/1.jpg", "val/robin/1.jpg", "train/wren/1.jpg"), None),
        (("around/robin/1.jpg", "around/wren/1.jpg"), None),
        (("robin/1.jpg", "robin/2.jpg"), "robin"),
        (("train/robin/1.jpg", "test/robin/2.jpg"), "robin"),
        (("around/robin/1.jpg",), "robin"),
    ],
)
def test_a_single_class_is_warned_of(tmp_path: Path, names: tuple[str, ...], one_class: str | None) -> None:
    warnings = read_data_set(images(tmp_path / "birds", *names)).warnings
    assert bool(warnings) == bool(one_class)
    assert one_class is None or f"single class ({one_class})" in warnings[0]


def test_hidden_files_are_no_part_and_other_files_are_named(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", "a/1.jpg", "b/1.jpg", "b/notes.txt", ".DS_Store", "a/._1.jpg", "__MACOSX/a/1.jpg")
    data_set = read_data_set(root)
    assert len(data_set.files) == 2
    assert data_set.warnings == ("1 file that is no image stays here, e.g. b/notes.txt",)


def test_a_link_within_the_data_set_is_followed(tmp_path: Path) -> None:
    root = images(tmp_path / "birds", "a/1.jpg", "b/1.jpg")
    (root / "b" / "2.jpg").symlink_to(root / "a" / "1.jpg")
    assert [file.size for file in read_data_set(root).files] == [7, 7, 7]


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


def unclassed(root: Path) -> None:
    (root / "2.jpg").write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (outside_link, "outside the data set"),
        (outside_folder, "outside the data set"),
        (loop, "would count twice"),
        (dangling, "a link to nothing"),
        (pipe, "no regular file"),
        (undecodable, "cannot be an object's key"),
        (line_break, "cannot be an object's key"),
        (unclassed, "1 image of"),
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


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no images"):
        read_data_set(images(tmp_path / "birds", "a/1.txt"))


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
        archive.writestr("red/1.png", b"x")
    assert read_data_set(tmp_path / "BIRDS.ZIP").location == "datasets/BIRDS.ZIP"


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as archive:
        archive.writestr("a/1.jpg", "x" * 1000)
    (tmp_path / "birds.zip").write_bytes((tmp_path / "birds.zip").read_bytes()[:50])
    with pytest.raises(UsageError, match=r"damaged, or no \.zip archive"):
        read_data_set(tmp_path / "birds.zip")
