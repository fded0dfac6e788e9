"""Unpacks a model's `model.tar.gz` for an endpoint, on each Python that the project supports.

A job writes the archive, so it must not write outside its folder. `tarfile`'s filter `data` sees to that; it came with
Python 3.11.4. Debian 12 has 3.11.2: there the archive may hold files and folders alone.
"""

import platform
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class UnsafeArchive(tarfile.TarError):
    """The archive holds a member that is not unpacked here."""


def unpack(archive: Path, target: Path) -> None:
    """Unpacks into `target`. Raises tarfile.TarError, EOFError or OSError."""
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(target, filter="data")
        else:
            tar.extractall(target, members=plain_members(tar))


def plain_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Files and folders, owned by this user and writable by nobody else. Raises UnsafeArchive at any other member."""
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise UnsafeArchive(f"{member.name!r} would lie outside the model's folder")
        if not (member.isfile() or member.isdir()):
            raise UnsafeArchive(
                f"{member.name!r} is neither a file nor a folder; Python {platform.python_version()} does not check "
                "where a link leads. hint: archive the files themselves (tar --dereference --hard-dereference), or use "
                "Python 3.11.4 or newer: make clean, then make install PYTHON=…"
            )
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
        member.uid = member.gid = -1  # to `chown`: no change
        member.uname = member.gname = ""
        yield member
