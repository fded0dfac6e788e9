"""What an archive may hold, and what it must not."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from archive import Limits, unpack
from errors import ArchiveError


def tar_with(path: Path, *members: tarfile.TarInfo, content: bytes = b"data") -> Path:
    with tarfile.open(path, "w:gz") as file:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            file.addfile(member, io.BytesIO(content))
    return path


def zip_with(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "A.ZIP"])
def test_every_kind_of_archive_is_unpacked(tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    if name.lower().endswith(".zip"):
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("cat/1.jpg", b"data")
    else:
        with tarfile.open(archive, "w:gz" if name.endswith("gz") else "w") as tar:
            member = tarfile.TarInfo("./cat/1.jpg")
            member.size = 4
            tar.addfile(member, io.BytesIO(b"data"))
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/cat/1.jpg").read_bytes() == b"data"


@pytest.mark.parametrize("name", ["../evil", "cat/../../evil", "/tmp/evil", "..\\evil"])
def test_a_name_outside_the_folder_is_refused_in_a_zip_and_in_a_tar(tmp_path: Path, name: str) -> None:
    for archive in (zip_with(tmp_path / "a.zip", **{name: b""}), tar_with(tmp_path / "a.tgz", tarfile.TarInfo(name))):
        with pytest.raises(ArchiveError, match=r"outside the folder(.|\n)*hint: .*relative names"):
            unpack(archive, tmp_path / "deep/out")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("member", "what"),
    [
        (link("a", tarfile.SYMTYPE, "/etc/passwd"), "link"),
        (link("a", tarfile.LNKTYPE, "b"), "link"),
        (link("a", tarfile.CHRTYPE, ""), "special file"),
        (link("a", tarfile.FIFOTYPE, ""), "special file"),
    ],
    ids=["symbolic link", "hard link", "device", "pipe"],
)
def test_a_tar_with_anything_but_files_and_folders_is_refused(
    tmp_path: Path, member: tarfile.TarInfo, what: str
) -> None:
    with pytest.raises(ArchiveError, match=rf"'a', which is a {what}: only files and folders"):
        unpack(tar_with(tmp_path / "a.tar.gz", member), tmp_path / "out")


def test_a_zip_with_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("cat/1.jpg")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="which is a symbolic link"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    limits = Limits(ratio=100, least=2**20)
    zeros = bytes(8 * 2**20)
    bombs = [
        zip_with(tmp_path / "a.zip", zeros=zeros),
        tar_with(tmp_path / "a.tgz", tarfile.TarInfo("zeros"), content=zeros),
    ]
    for bomb in bombs:
        with pytest.raises(ArchiveError, match=r"unpacks to more than 1,048,576 bytes from 8,\d{3}\n"):
            unpack(bomb, tmp_path / "out", limits)
    assert not list((tmp_path / "out").rglob("*"))


def test_the_size_of_an_archive_is_limited_whatever_its_ratio(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "a.zip", one=b"1" * 2000, two=b"2" * 2000)
    with pytest.raises(ArchiveError, match="more than 4,096 bytes"):
        unpack(archive, tmp_path / "out", Limits(most=4096))


def test_a_million_empty_files_count_as_well(tmp_path: Path) -> None:
    archive = zip_with(tmp_path / "a.zip", **{str(index): b"" for index in range(20)})
    with pytest.raises(ArchiveError, match="more than 5,120 bytes"):
        unpack(archive, tmp_path / "out", Limits(most=5120))


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_a_damaged_archive_is_an_error_with_a_hint(tmp_path: Path, name: str) -> None:
    good = tmp_path / name
    if name.endswith(".zip"):
        zip_with(good, a=bytes(range(256)) * 40)
    else:
        tar_with(good, tarfile.TarInfo("a"), content=bytes(range(256)) * 40)
    good.write_bytes(good.read_bytes()[:60])
    with pytest.raises(ArchiveError, match=r"cannot be unpacked(.|\n)*hint: make the archive again"):
        unpack(good, tmp_path / "out")


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = tar_with(tmp_path / "a.tgz", tarfile.TarInfo("a"), tarfile.TarInfo("a"))
    with pytest.raises(ArchiveError, match="'a' twice"):
        unpack(archive, tmp_path / "out")
