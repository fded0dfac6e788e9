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
        (link("a", tarfile.CHRTYPE, ""), "special file"),
        (link("a", tarfile.FIFOTYPE, ""), "special file"),
    ],
    ids=["symbolic link", "device", "pipe"],
)
def test_a_tar_with_anything_but_files_and_folders_is_refused(
    tmp_path: Path, member: tarfile.TarInfo, what: str
) -> None:
    with pytest.raises(ArchiveError, match=rf"'a', which is a {what}: only files and folders"):
        unpack(tar_with(tmp_path / "a.tar.gz", member), tmp_path / "out")


def test_a_hard_link_to_an_earlier_file_becomes_a_copy(tmp_path: Path) -> None:
    files = (tarfile.TarInfo("cat/1.jpg"), link("cat/2.jpg", tarfile.LNKTYPE, "cat/1.jpg"))
    unpack(tar_with(tmp_path / "a.tar.gz", *files), tmp_path / "out")
    copies = [(tmp_path / "out/cat" / name).read_bytes() for name in ("1.jpg", "2.jpg")]
    assert copies[0] == copies[1]
    assert len({(tmp_path / "out/cat" / name).stat().st_ino for name in ("1.jpg", "2.jpg")}) == 2


@pytest.mark.parametrize("target", ["b", "../b", "/etc/passwd", "a"])
def test_a_hard_link_to_anything_else_is_refused(tmp_path: Path, target: str) -> None:
    archive = tar_with(tmp_path / "a.tar", link("a", tarfile.LNKTYPE, target))
    with pytest.raises(ArchiveError, match=r"--hard-dereference|outside the folder"):
        unpack(archive, tmp_path / "out")


def test_a_bomb_of_hard_links_is_refused(tmp_path: Path) -> None:
    links = [link(f"a{number}", tarfile.LNKTYPE, "a") for number in range(9)]
    archive = tar_with(tmp_path / "a.tar", tarfile.TarInfo("a"), *links, content=b"1" * 1000)
    with pytest.raises(ArchiveError, match="more than 5,120 bytes"):
        unpack(archive, tmp_path / "out", Limits(most=5120))


@pytest.mark.parametrize("form", ["bz2", "xz"])
def test_tar_compressed_otherwise_is_unpacked_within_the_same_limits(tmp_path: Path, form: str) -> None:
    archive = tmp_path / f"a.tar.{form}"
    with tarfile.open(archive, f"w:{form}") as file:
        info = tarfile.TarInfo("cat/1.jpg")
        info.size = 2**20
        file.addfile(info, io.BytesIO(bytes(2**20)))
    unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/cat/1.jpg").stat().st_size == 2**20
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        unpack(archive, tmp_path / "out2", Limits(least=1000, ratio=100))
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out3")


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
