"""A data set on this machine: which files belong to it, and everything that is wrong with it before a byte is sent."""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headrace.errors import UsageError
from headrace.wording import counted

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
# As preprocessing reads folder names.
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    key: str  # the object's key in the data bucket
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class DataSet:
    """What will be uploaded. `prefix` holds nothing but this data set when it is a folder; it is "" for an archive."""

    name: str
    location: str  # `datasets/birds/` or `datasets/birds.zip`
    prefix: str
    files: tuple[File, ...]
    warnings: tuple[str, ...]


def read_data_set(path: Path, name: str | None = None) -> DataSet:
    """The data set at `path`: a folder of class folders (or of train, validation and test folders), or an archive.

    Raises:
        UsageError: it is neither, holds no images, or holds something that cannot be sent as it is.
    """
    try:
        found = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{path} is not there", hint=f"ls {path.parent}") from error
    if found.is_dir():
        return _read_folder(found, _checked(name or found.name, path))
    if found.is_file():
        return _read_archive(found, name)
    raise UsageError(f"{path} is neither a folder nor a file", hint="headrace upload FOLDER_OF_CLASS_FOLDERS")


def _read_folder(root: Path, name: str) -> DataSet:
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        raise UsageError(
            f"a folder cannot be the data set {name}: that name says it is an archive",
            hint=f"headrace upload {root} --name {name.split('.')[0]}",
        )
    prefix = f"datasets/{name}/"
    files: list[File] = []
    others: list[str] = []
    for path in _files_below(root, root):
        relative = path.relative_to(root)
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            others.append(str(relative))
            continue
        files.append(File(path, prefix + _key_of(relative), path.stat().st_size))
    if not files:
        raise UsageError(
            f"{root} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})",
            hint=f"put the images into one folder per class: {root}/CLASS/IMAGE.jpg",
        )
    classes = _classes([file.key.removeprefix(prefix) for file in files], root)
    warnings = []
    if len(classes) == 1:
        warnings.append(f"there is a single class ({classes[0]}): training needs at least two, so the run will fail")
    if others:
        no_images = "file that is no image stays" if len(others) == 1 else "files that are no images stay"
        warnings.append(f"{len(others):,} {no_images} here, e.g. {others[0]}")
    return DataSet(name, prefix, prefix, tuple(files), tuple(warnings))


def _read_archive(path: Path, name: str | None) -> DataSet:
    suffix = next((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise UsageError(
            f"{path} is neither a folder nor an archive ({', '.join(ARCHIVE_SUFFIXES)})",
            hint="headrace upload FOLDER_OF_CLASS_FOLDERS",
        )
    _check_readable(path, path.parent)
    if not (zipfile.is_zipfile(path) if suffix == ".zip" else tarfile.is_tarfile(path)):
        raise UsageError(f"{path} is damaged, or no {suffix} archive", hint="make the archive again, then upload it")
    chosen = name or path.name
    full_name = _checked(chosen if chosen.lower().endswith(suffix) else chosen + suffix, path)
    key = f"datasets/{full_name}"
    return DataSet(full_name, key, "", (File(path, key, path.stat().st_size),), ())


def _files_below(folder: Path, root: Path) -> Iterator[Path]:
    """Regular files below `folder`, sorted; hidden ones and what archivers leave behind are no part of a data set."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}", hint=f"ls -ld {folder}") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in JUNK:
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
    where = f"{path.relative_to(root)} in {root}"
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{where} is no regular file", hint=f"rm {path}")
        with path.open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"cannot read {where}: {error.strerror}", hint=f"ls -l {path}") from error


def _key_of(relative: Path) -> str:
    key = PurePosixPath(*relative.parts).as_posix()
    if not key.isprintable():  # control characters, and the surrogates that stand for bytes which are no UTF-8
        raise UsageError(
            f"the file name {key!r} cannot be an object's key", hint="rename the file with printable characters"
        )
    return key


def _classes(keys: list[str], root: Path) -> list[str]:
    """Class names, from `class/…` or `train/class/…`, within one folder around it all; images in none are refused."""
    names = [key.split("/") for key in keys]
    while len({name[0] for name in names}) == 1 and names[0][0].lower() not in SPLITS and min(map(len, names)) > 2:
        names = [name[1:] for name in names]
    depth = 2 if {name[0].lower() for name in names} <= SPLITS else 1
    outside = [name for name in names if len(name) <= depth]
    if outside:
        raise UsageError(
            f"{counted(len(outside), 'image')} of {root} in no class folder, e.g. {'/'.join(outside[0])}",
            hint="put each image into a folder named after its class: CLASS/IMAGE.jpg, or train/CLASS/IMAGE.jpg",
        )
    return sorted({name[depth - 1] for name in names})


def _checked(name: str, path: Path) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a data set: 1 to 100 letters, digits, dots, dashes and underscores",
            hint=f"headrace upload {path} --name birds",
        )
    return name
