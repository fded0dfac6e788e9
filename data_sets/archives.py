"""Archives that nobody vouches for: files and folders only, all of them inside the target, and not too many.

`tarfile`'s own filters resolve links and clamp modes; a data set or a model needs neither, so anything that is not a
plain file, a folder or a hard link to an earlier file is refused, and a file is written by us with the modes of a new
file. A hard link becomes a copy. Junk is not unpacked.
"""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from data_sets.errors import ArchiveError
from data_sets.names import ARCHIVE_SUFFIXES as SUFFIXES
from data_sets.names import LONGEST_NAME, UNPRINTABLE, escaped, is_archive, is_junk, suffix_of
from data_sets.wording import some_of
from data_sets.zip_names import decoded_names

__all__ = ["SUFFIXES", "Limits", "Member", "is_archive", "members", "sole_archive", "unpack"]

MEMBER_BYTES = 512  # what a member costs besides its bytes (a tar header): a million empty files count too
ENCRYPTED = 0x1
# What APPNOTE.TXT calls the methods that Python's zipfile does not know.
METHODS = {1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd"}
KNOWN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
# Suffixes of what may lie beside the one archive that is a data set.
DOCUMENTS = frozenset({"", ".txt", ".md", ".rst", ".pdf", ".html", ".csv", ".json", ".yaml", ".yml", ".bib"})


def sole_archive(paths: Iterable[str]) -> str | None:
    """The archive that these files, junk left out, are a data set of; None if there is no archive.

    Raises ArchiveError for one beside other archives or images: what is meant is not clear.
    """
    known = list(paths)
    archives = [path for path in known if is_archive(path)]
    if not archives:
        return None
    if len(archives) > 1 or any(path not in archives and suffix_of(path) not in DOCUMENTS for path in known):
        raise ArchiveError(
            f"the data set holds {some_of(archives)} beside {len(known) - 1:,} other files",
            hint=f"upload loose images, or one archive ({', '.join(SUFFIXES)}), as a data set",
        )
    return archives[0]


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
    """`path` is relative, with `/` between its parts; `link` is the path of the file that a hard link repeats."""

    path: str
    kind: str  # "file", "folder" or "hard link"
    size: int
    open: Callable[[], IO[bytes]]
    link: str = ""


def members(archive: Path, limits: Limits | None = None) -> Iterator[Member]:
    """The members that belong to a data set, in the archive's order; each can be opened until the next is asked for.

    Raises ArchiveError at the first member that is unsafe, of an unsupported kind, or too much.
    """
    allowance = (limits or Limits()).allowance(archive)
    listed = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    seen: dict[str, str] = {}
    sizes: dict[str, int] = {}
    total = 0
    try:
        for member in listed(archive):
            size = sizes.get(member.link, member.size)
            total += MEMBER_BYTES + size
            if total > allowance:
                raise ArchiveError(
                    f"{archive.name} unpacks to more than {allowance:,} bytes from {archive.stat().st_size:,}",
                    hint="upload the images loose, or as several smaller data sets",
                )
            if is_junk(member.path):
                continue
            _refuse_twice(member, seen, archive)
            if member.kind == "hard link" and member.link not in sizes:
                raise ArchiveError(
                    f"{archive.name} holds {escaped(member.path)!r}, a hard link to {escaped(member.link)!r}, which is "
                    "not a file before it in the archive",
                    hint="make the archive again with: tar --hard-dereference",
                )
            if member.kind != "folder":
                sizes[member.path] = size
            yield member
    # RuntimeError: zipfile's word for an encrypted member. NotImplementedError: for a compression it does not know.
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError
    ) as error:  # fmt: skip
        raise _damaged(archive, error) from error


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack `archive` into the folder `target`.

    Raises ArchiveError, and leaves what was unpacked so far, at the first member that is unsafe or too much.
    """
    for member in members(archive, limits):
        path = target / member.path
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind == "hard link":
            shutil.copyfile(target / member.link, path)
            continue
        try:
            with member.open() as source, path.open("xb") as copy:
                shutil.copyfileobj(source, copy, 2**20)
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
            raise _damaged(archive, error) from error


def _refuse_twice(member: Member, seen: dict[str, str], archive: Path) -> None:
    """Two members of one path, or a file that is a folder as well: one of them would be lost."""
    kind = "folder" if member.kind == "folder" else "file"
    parents = [str(path) for path in PurePosixPath(member.path).parents][:-1]
    taken = seen.get(member.path)
    if (taken and (taken, kind) != ("folder", "folder")) or any(seen.get(path) == "file" for path in parents):
        raise ArchiveError(
            f"{archive.name} holds {escaped(member.path)!r} twice, or as a file and as a folder",
            hint="make the archive again from a clean folder",
        )
    seen[member.path] = kind
    for path in parents:
        seen.setdefault(path, "folder")


def _damaged(archive: Path, error: Exception) -> ArchiveError:
    return ArchiveError(
        f"{archive.name} cannot be unpacked: {error}", hint="make the archive again and upload it again"
    )


def _inside(name: str, archive: Path) -> str:
    """A member's path, relative to the target. Raises ArchiveError for one that leads out of it or cannot be a file."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ArchiveError(
            f"{archive.name} holds {escaped(name)!r}, which would lie outside the folder it is unpacked to",
            hint="make the archive from inside the data set's folder, with relative names and no '..'",
        )
    plain = "/".join(path.parts)
    if is_junk(plain):
        return plain
    if UNPRINTABLE.search(plain) or any(len(part.encode("utf-8", "replace")) > LONGEST_NAME for part in path.parts):
        raise ArchiveError(
            f"{archive.name} holds {escaped(name)[:300]!r}, whose name cannot be printed or is longer than "
            f"{LONGEST_NAME} bytes",
            hint="rename the file, then make the archive again",
        )
    return plain


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        infos = file.infolist()
        _refuse_methods(infos, archive)
        for info, name in zip(infos, decoded_names(infos, archive.name), strict=True):
            # Windows separates folders by backslashes; elsewhere one may be part of a name.
            if info.create_system == 0 or "/" not in name:
                name = name.replace("\\", "/")
            mode = stat.S_IFMT(info.external_attr >> 16)  # 0 when the archive was not made on Unix
            if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_a_file(name, "symbolic link" if mode == stat.S_IFLNK else "special file", archive)
            kind = "folder" if name.endswith("/") else "file"
            path = _inside(name, archive)
            if path:
                yield Member(path, kind, info.file_size, partial(file.open, info))


def _refuse_methods(infos: list[zipfile.ZipInfo], archive: Path) -> None:
    locked = [info for info in infos if info.flag_bits & ENCRYPTED]
    if locked:
        raise ArchiveError(
            f"{archive.name} is protected by a password ({len(locked):,} of {len(infos):,} members)",
            hint=f"unzip {archive.name} -d FOLDER   # asks for the password; then: headrace upload FOLDER",
        )
    unknown = sorted({info.compress_type for info in infos} - set(KNOWN_METHODS))
    if unknown:
        named = ", ".join(METHODS.get(method, f"method {method}") for method in unknown)
        windows = ", as Windows Explorer does above 2 GB" if 9 in unknown else ""
        raise ArchiveError(
            f"{archive.name} is compressed with {named}{windows}, which Python cannot unpack",
            hint=f"7z x {archive.name} -oFOLDER   # then: headrace upload FOLDER, or zip it with Deflate",
        )


def _tar_members(archive: Path) -> Iterator[Member]:
    # As a stream: one pass over the bytes, and a huge member is seen by its header before it is unpacked.
    with tarfile.open(archive, "r|*") as file:
        for info in file:
            name = _tar_name(info.name)
            if info.issym() or not (info.isdir() or info.isfile() or info.islnk()):
                raise _not_a_file(name, "link" if info.issym() else "special file", archive)
            path = _inside(name, archive)
            if not path:
                continue
            if info.islnk():
                link = _inside(_tar_name(info.linkname), archive)
                yield Member(path, "hard link", 0, partial(_plain_file, file, info), link)
            else:
                kind = "folder" if info.isdir() else "file"
                yield Member(path, kind, info.size, partial(_plain_file, file, info))


def _tar_name(name: str) -> str:
    """A tar from an old system may hold names that are not UTF-8; one from Windows may hold backslashes."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return name if "/" in name else name.replace("\\", "/")


def _not_a_file(name: str, kind: str, archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive.name} holds {escaped(name)!r}, which is a {kind}: only files and folders are unpacked",
        hint="put the file itself into the archive (tar --dereference, or zip without --symlinks)",
    )


def _plain_file(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(info)
    assert stream is not None, "a plain file always opens"
    return stream
