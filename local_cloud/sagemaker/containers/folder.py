"""Folders that a job may have written to, read and written by the local cloud without following a link.

The local cloud may do more on this machine than a job may, so what a job put under ``/opt/ml`` cannot be opened by its
path: ``model`` may be a link to somebody's home by then. Each part of a path is opened below the one before instead,
and a link is refused. A path of a request is normalised first; it cannot lead out of the folder either.
"""

import errno
import json
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local_cloud.sagemaker.core.errors import ValidationException

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would be waited for
_PIPE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NOT_A_FOLDER = (errno.ELOOP, errno.ENOTDIR)


class UnsafePath(ValidationException):
    """The path leads, or would lead, out of the folder. As the reason of a job's failure it reads as it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file, or a link."""

    name: str
    """Its path in the folder."""
    size: int
    changed: int
    """In nanoseconds since the epoch."""
    mode: int
    link: str | None
    """Where a link leads, as it is written; nothing is known of what is there."""


def parts(path: str) -> tuple[str, ...]:
    """The parts of a relative path, normalised. Raises UnsafePath if it leads out of its folder, or is none at all."""
    normal = posixpath.normpath(path) if path else "."
    if normal.startswith(("/", "../")) or normal == ".." or "\0" in path:
        raise UnsafePath(f"ClientError: the path {path!r} leads out of its folder.")
    if any(len(os.fsencode(part)) > 255 for part in normal.split("/")):
        raise UnsafePath(f"ClientError: the path {path[:80]!r}… has a part of more than 255 bytes.")
    return () if normal == "." else tuple(normal.split("/"))


def under(base: str, path: str) -> tuple[str, ...]:
    """The parts of an absolute path below ``base``. Raises UnsafePath if it is not below it."""
    found, wanted = parts(path.lstrip("/")), parts(base.lstrip("/"))
    if not path.startswith("/") or found[: len(wanted)] != wanted or len(found) == len(wanted):
        raise UnsafePath(f"ClientError: the path {path!r} is not below {base}.")
    return found[len(wanted) :]


class Folder:
    """A folder below ``root``, which exists and which no job can replace."""

    def __init__(self, root: Path, *inner: str) -> None:
        self._root, self._parts = root, inner

    def __str__(self) -> str:
        return "/".join(self._parts)

    def __truediv__(self, path: str) -> "Folder":
        return Folder(self._root, *self._parts, *parts(path))

    def make(self) -> None:
        os.close(self._open(make=True))

    def exists(self) -> bool:
        try:
            os.close(self._open())
        except FileNotFoundError:
            return False
        return True

    def files(self) -> Iterator[Entry]:
        """All below this folder, by name; none if it is not there. A file that vanishes meanwhile is left out."""
        try:
            descriptor = self._open()
        except FileNotFoundError:
            return
        yield from _walk(descriptor, "")

    def open(self, path: str) -> IO[bytes]:
        """A regular file. Raises FileNotFoundError, or UnsafePath for anything else."""
        folder, name = self._split(path)
        descriptor = folder._open()
        try:
            file: int = self._guarded(name, lambda: os.open(name, _FILE, dir_fd=descriptor))
        finally:
            os.close(descriptor)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise UnsafePath(f"ClientError: {self / path} is not a regular file.")
        return os.fdopen(file, "rb")

    def read(self, path: str, most: int) -> bytes:
        """The first bytes of a file; none if there is no regular file."""
        try:
            with self.open(path) as file:
                return file.read(most)
        except (FileNotFoundError, UnsafePath):
            return b""

    def changed(self, path: str) -> int | None:
        """When the file was changed, or None if there is no regular file."""
        try:
            with self.open(path) as file:
                return os.fstat(file.fileno()).st_mtime_ns
        except (FileNotFoundError, UnsafePath):
            return None

    def create(self, path: str) -> IO[bytes]:
        """A new file, in the place of any of that name; its folders are made. Raises UnsafePath."""
        folder, name = self._split(path)
        descriptor = folder._open(make=True)
        try:
            for _ in range(2):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                try:
                    return os.fdopen(os.open(name, flags, 0o666, dir_fd=descriptor), "wb")
                except FileExistsError:
                    self._guarded(name, lambda: os.unlink(name, dir_fd=descriptor))
            raise UnsafePath(f"ClientError: {self / path} is being made by somebody else.")
        finally:
            os.close(descriptor)

    def make_pipe(self, name: str) -> None:
        """A named pipe, in the place of any file of that name."""
        descriptor = self._open(make=True)
        try:
            with suppress(FileNotFoundError):
                self._guarded(name, lambda: os.unlink(name, dir_fd=descriptor))
            os.mkfifo(name, dir_fd=descriptor)
        finally:
            os.close(descriptor)

    def open_pipe(self, name: str) -> int:
        """For writing, without waiting for a reader. Raises OSError (ENXIO without one), or UnsafePath."""
        descriptor = self._open()
        try:
            pipe: int = self._guarded(name, lambda: os.open(name, _PIPE, dir_fd=descriptor))
        finally:
            os.close(descriptor)
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            os.close(pipe)
            raise UnsafePath(f"ClientError: {self}/{name} is not a pipe any more.")
        return pipe

    def write_json(self, path: str, content: Any) -> None:
        with self.create(path) as file:
            file.write(json.dumps(content).encode())

    def clear(self) -> None:
        """Deletes all in it, after making it."""
        descriptor = self._open(make=True)
        try:
            _delete(descriptor)
        finally:
            os.close(descriptor)

    def _split(self, path: str) -> tuple["Folder", str]:
        found = parts(path)
        if not found:
            raise UnsafePath(f"ClientError: the path {path!r} names no file.")
        return Folder(self._root, *self._parts, *found[:-1]), found[-1]

    def _open(self, *, make: bool = False) -> int:
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        for part in self._parts:
            outer = descriptor
            try:
                if make:
                    _make(part, outer)
                descriptor = self._guarded(part, lambda part=part, outer=outer: os.open(part, _FOLDER, dir_fd=outer))
            finally:
                os.close(outer)
        return descriptor

    def _guarded(self, name: str, action: Any) -> Any:
        try:
            return action()
        except OSError as error:
            if error.errno in (*_NOT_A_FOLDER, errno.EISDIR):
                raise UnsafePath(f"ClientError: {name!r} of /opt/ml/{self} is a link, or of another kind.") from error
            raise


def _make(part: str, outer: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=outer)


def _walk(descriptor: int, prefix: str) -> Iterator[Entry]:
    """Closes the descriptor."""
    try:
        for name in sorted(os.listdir(descriptor)):
            try:
                found = os.lstat(name, dir_fd=descriptor)
                link = os.readlink(name, dir_fd=descriptor) if stat.S_ISLNK(found.st_mode) else None
                inner = os.open(name, _FOLDER, dir_fd=descriptor) if stat.S_ISDIR(found.st_mode) else None
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINVAL, *_NOT_A_FOLDER):
                    continue  # it has changed since it was listed
                raise
            if inner is not None:
                yield from _walk(inner, f"{prefix}{name}/")
            elif link is not None or stat.S_ISREG(found.st_mode):
                mode = stat.S_IMODE(found.st_mode)
                yield Entry(f"{prefix}{name}", found.st_size, found.st_mtime_ns, mode, link)
    finally:
        os.close(descriptor)


def _delete(descriptor: int) -> None:
    for name in os.listdir(descriptor):
        if stat.S_ISDIR(os.lstat(name, dir_fd=descriptor).st_mode):
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            try:
                _delete(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=descriptor)
        else:
            os.unlink(name, dir_fd=descriptor)
