"""The training code, with the reader of data sets, as an archive of the same bytes wherever and whenever it is made.

Its hash is its address in the data bucket and part of what training's results depend on. So nothing may be in it but
the files' names, contents and executable bits: no times, owners or order of a file system. The tar is stored in the
gzip format rather than deflated, because zlib and zlib-ng deflate the same bytes differently; the code is small.
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = frozenset({"__pycache__", "tests", "node_modules"})
LARGEST_BLOCK = 0xFFFF


@dataclass(frozen=True, slots=True)
class CodeArchive:
    content: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def of(cls, folder: Path, *packages: Path) -> CodeArchive:
        """All files of `folder` at the archive's top level, and each of the `packages` as a folder beside them.

        Hidden files, tests and compiled Python are left out.
        """
        found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
        for package in packages:
            found |= {path.relative_to(package.parent).as_posix(): path for path in _files(package)}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, path in sorted(found.items()):
                archive.addfile(_entry(path, name), io.BytesIO(path.read_bytes()))
        return cls(_gzip(buffer.getvalue()))


def _files(folder: Path) -> Iterator[Path]:
    def wanted(path: Path) -> bool:
        names = path.relative_to(folder).parts
        return path.is_file() and path.suffix != ".pyc" and not any(n in LEFT_OUT or n.startswith(".") for n in names)

    return (path for path in folder.rglob("*") if wanted(path))


def _entry(path: Path, name: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return entry


def _gzip(data: bytes) -> bytes:
    """RFC 1952 with a header that has neither name, time nor system, around stored blocks of RFC 1951."""
    starts = range(0, len(data) or 1, LARGEST_BLOCK)
    blocks = bytearray()
    for start in starts:
        chunk = data[start : start + LARGEST_BLOCK]
        last = start == starts[-1]
        blocks += struct.pack("<BHH", last, len(chunk), len(chunk) ^ 0xFFFF) + chunk
    header = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    return header + bytes(blocks) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
