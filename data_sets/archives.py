"""Unpack an archive that nobody vouches for: files and folders only, all of them inside the target, and not too many.

`tarfile`'s own filters resolve links and clamp modes; a data set or a model needs neither, so anything that is not a
plain file or a folder is refused, and a file is written by us with the modes of a new file.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from data_sets.errors import ArchiveError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

# What a member costs besides its bytes (a tar header): so a million empty files count too.
MEMBER_BYTES = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may unpack to: the ratio times its size, but at least `least` and at most `most` bytes.

    Photographs pack about 1:1 and flat drawings as BMP reach about 100:1; a bomb of zeros reaches 1000:1.
    """

    ratio: int = 200
    least: int = 64 * 2**20
    most: int = 64 * 2**30

    def allowance(self, archive: Path) -> int:
        return min(self.most, max(self.least, self.ratio * archive.stat().st_size))


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    kind: str  # "file", "folder", or what it is instead
    size: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack `archive` (zip, tar, tar.gz, tgz) into the folder `target`.

    Raises ArchiveError, and leaves what was unpacked so far, at the first member that is unsafe or too much.
    """
    allowance = (limits or Limits()).allowance(archive)
    members = zip_members if archive.name.lower().endswith(".zip") else tar_members
    total = 0
    try:
        for member in members(archive):
            total += MEMBER_BYTES + member.size
            if total > allowance:
                raise ArchiveError(
                    f"{archive.name} unpacks to more than {allowance:,} bytes from {archive.stat().st_size:,}",
                    hint="upload the images loose, or as several smaller data sets",
                )
            write_member(member, path_inside(target, member.name, archive), archive)
    # RuntimeError: zipfile's word for an encrypted member. NotImplementedError: for a compression it does not know.
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ArchiveError(
            f"{archive.name} cannot be unpacked: {error}", hint="make the archive again and upload it again"
        ) from error


def path_inside(target: Path, name: str, archive: Path) -> Path:
    # A tar from an old system may hold names that are no UTF-8; one from Windows may separate folders by backslashes.
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(
            f"{archive.name} holds {name!r}, which would lie outside the folder it is unpacked to",
            hint="make the archive from inside the data set's folder, with relative names and no '..'",
        )
    return target / path


def write_member(member: Member, path: Path, archive: Path) -> None:
    if member.kind not in ("file", "folder"):
        raise ArchiveError(
            f"{archive.name} holds {member.name!r}, which is a {member.kind}: only files and folders are unpacked",
            hint="put the file itself into the archive (tar --dereference, or zip without --symlinks)",
        )
    try:
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, path.open("xb") as copy:
            shutil.copyfileobj(source, copy, 2**20)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(
            f"{archive.name} holds {member.name!r} twice, or as a file and as a folder",
            hint="make the archive again from a clean folder",
        ) from error


def zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)  # 0 when the archive was not made on Unix
            kind = "folder" if info.is_dir() else "file"
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "symbolic link" if mode == stat.S_IFLNK else "special file"
            yield Member(info.filename, kind, info.file_size, partial(file.open, info))


def tar_members(archive: Path) -> Iterator[Member]:
    # As a stream: one pass over the bytes, and a huge member is seen by its header before it is unpacked.
    with tarfile.open(archive, "r|*") as file:
        for info in file:
            kind = "folder" if info.isdir() else "file" if info.isfile() else "special file"
            if info.issym() or info.islnk():
                kind = "link"
            yield Member(info.name, kind, info.size, partial(plain_file, file, info))


def plain_file(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(info)
    assert stream is not None, "a plain file always opens"
    return stream
