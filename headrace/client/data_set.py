"""A data set on this machine: which files belong to it, and everything that is wrong with it before a byte is sent."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_sets import kinds
from data_sets.archive_listing import ArchiveListing
from data_sets.archives import sole_archive
from data_sets.errors import DataSetError
from data_sets.listing import FolderListing, Listing
from data_sets.names import ARCHIVE_SUFFIXES, OTHER_ARCHIVES, UNPRINTABLE, escaped, is_archive, is_junk, without_junk
from data_sets.reading import MAX_SKIPPED_SHARE, Reading, read
from headrace.errors import UsageError
from headrace.project.folder import find_root

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    key: str  # the object's key in the data bucket
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class DataSet:
    """What will be uploaded. `prefix` holds nothing but this data set when it is a folder; it is "" for an archive.

    `reading` is None where the data set is sent without being read.
    """

    name: str
    location: str  # `datasets/birds/` or `datasets/birds.zip`
    prefix: str
    files: tuple[File, ...]
    reading: Reading | None


def read_data_set(
    path: Path, name: str | None = None, *, check: bool = True, max_skipped_share: float = MAX_SKIPPED_SHARE
) -> DataSet:
    """The data set at `path`, a folder or an archive. With `check`, it is read as preprocessing will read it.

    What is wrong with the reading is in its `problems`.

    Raises:
        UsageError: it is neither, or it holds something that cannot be sent or unpacked.
    """
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} does not exist", hint=f"ls {path.parent}") from error
    try:
        if found.is_dir():
            return _read_folder(found, _checked(name or found.name, path), check, max_skipped_share)
        if found.is_file():
            return _read_archive(found, name, check, max_skipped_share)
    except DataSetError as refused:
        raise UsageError(f"{path}: {refused.message}", hint=refused.hint) from refused
    raise UsageError(f"{path} is neither a folder nor a file", hint="headrace upload FOLDER_OF_CLASS_FOLDERS")


def name_of(path: Path, name: str | None) -> str:
    """What the data set at `path` will be called; an archive keeps its suffix."""
    chosen = name or path.resolve().name
    suffix = _archive_suffix(path) or ""
    return chosen if path.is_dir() or chosen.lower().endswith(suffix) else chosen + suffix


def _archive_suffix(path: Path) -> str | None:
    return max((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), key=len, default=None)


def image_kinds() -> frozenset[str]:
    """What the project's jobs decode, as its training/requirements.txt says; the usual kinds outside a project."""
    root = find_root()
    path = root / "training/requirements.txt" if root else None
    return kinds.taken(path.read_text("utf-8") if path and path.is_file() else "")


def _read_folder(root: Path, name: str, check: bool, max_skipped_share: float) -> DataSet:
    if is_archive(name):
        raise UsageError(
            f"a folder cannot be the data set {name}: that name says it is an archive",
            hint=f"headrace upload {root} --name {name.split('.')[0]}",
        )
    prefix = f"datasets/{name}/"
    found = {_key_of(path.relative_to(root)): path for path in _files_below(root, root)}
    kept, _ = without_junk(found)
    files = tuple(File(found[key], prefix + key, found[key].stat().st_size) for key in sorted(kept))
    reading = _reading(name, root, sorted(found), kept, max_skipped_share) if check else None
    return DataSet(name, prefix, prefix, files, reading)


def _reading(name: str, root: Path, paths: list[str], kept: list[str], max_skipped_share: float) -> Reading:
    archive = sole_archive(kept)
    if archive:
        return _read_as_the_job(ArchiveListing.of(root / archive), max_skipped_share)
    return _read_as_the_job(FolderListing.of(root, paths, name=name, hash=_sha256), max_skipped_share)


def _read_as_the_job(listing: Listing, max_skipped_share: float) -> Reading:
    return read(listing, max_skipped_share=max_skipped_share, taken=image_kinds(), exact=True)


def _read_archive(path: Path, name: str | None, check: bool, max_skipped_share: float) -> DataSet:
    known = ", ".join(ARCHIVE_SUFFIXES)
    if _archive_suffix(path) is None:
        other = path.name.lower().endswith(OTHER_ARCHIVES)
        raise UsageError(
            f"{path} is an archive of another kind than {known}"
            if other
            else f"{path} is neither a folder nor an archive ({known})",
            hint="unpack it, then: headrace upload FOLDER" if other else "headrace upload FOLDER_OF_CLASS_FOLDERS",
        )
    _check_readable(path, path.parent)
    full_name = _checked(name_of(path, name), path)
    key = f"datasets/{full_name}"
    reading = _read_as_the_job(ArchiveListing.of(path), max_skipped_share) if check else None
    return DataSet(full_name, key, "", (File(path, key, path.stat().st_size),), reading)


def _files_below(folder: Path, root: Path) -> Iterator[Path]:
    """Regular files below `folder`, sorted. Junk is not looked at, be it a link or unreadable."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}", hint=f"ls -ld {folder}") from error
    for entry in entries:
        if is_junk(f"{entry.relative_to(root).as_posix()}{'/x.png' if entry.is_dir() else ''}"):
            yield entry  # to be listed; a folder by its own name
            continue
        if entry.is_symlink():
            _check_link(entry, root)
        if entry.is_dir():
            yield from _files_below(entry, root)
        else:
            _check_readable(entry, root)
            yield entry


def _check_link(link: Path, root: Path) -> None:
    target = link.resolve()
    where = f"{link.relative_to(root)} in {root}"
    hint = f"replace the link with what it points to: cp -rL {link} COPY"
    if not target.exists():
        raise UsageError(f"{where} is a link to nothing ({target})", hint=f"rm {link}")
    if not target.is_relative_to(root):
        raise UsageError(f"{where} is a link to {target}, outside the data set", hint=hint)
    if target.is_dir():
        raise UsageError(f"{where} is a link to a folder, so its images would count twice", hint=hint)


def _check_readable(path: Path, root: Path) -> None:
    where = f"{escaped(str(path.relative_to(root)))} in {root}"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{where} is not a regular file", hint=f"rm {path}")
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"cannot read {where}: {error.strerror}", hint=f"ls -l {path}") from error


def _key_of(relative: Path) -> str:
    key = PurePosixPath(*relative.parts).as_posix()
    # Control characters, and the surrogates that stand for bytes which are not UTF-8.
    if UNPRINTABLE.search(key) and not is_junk(key):
        raise UsageError(
            f"the file name {escaped(key)!r} cannot be an object's key",
            hint="rename the file with printable characters",
        )
    return key


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _checked(name: str, path: Path) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a data set: 1 to 100 letters, digits, dots, dashes and underscores",
            hint=f"headrace upload {path} --name birds",
        )
    return name
