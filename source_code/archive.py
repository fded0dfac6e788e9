"""A code archive of the same bytes wherever and whenever it is made.

Nothing is in it but the files' names, contents and executable bits: no times, owners or order of a file system. The tar
is stored in the gzip format rather than deflated, because zlib and zlib-ng deflate the same bytes differently; the code
is small.
"""

from __future__ import annotations

import io
import posixpath
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from source_code.errors import SourceError

LARGEST = 256 * 1024 * 1024  # bytes unpacked; a function of 1 GB of memory reads it
LARGEST_BLOCK = 0xFFFF


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    executable: bool = False


Files = Mapping[str, File]
"""Files by their path in the archive, with slashes."""


def pack(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, file in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(file.content)
            entry.mode = 0o755 if file.executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
    return gzip(buffer.getvalue())


def unpack(content: bytes) -> dict[str, File]:
    """The files of any gzip-compressed tar archive. Raises SourceError for one that jobs could not be given."""
    files: dict[str, File] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            left = LARGEST
            for entry in archive:
                left -= entry.size
                _refuse(entry, left)
                if source := archive.extractfile(entry):
                    files[posixpath.normpath(entry.name)] = File(source.read(), bool(entry.mode & 0o100))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"it is not a gzip-compressed tar archive: {error}", "make it with: tar czf source.tar.gz -C <folder> ."
        ) from error
    return files


def _refuse(entry: tarfile.TarInfo, left: int) -> None:
    if not (entry.isfile() or entry.isdir()):
        raise SourceError(
            f"{entry.name} in it is a link or a device, and an archive of code holds files only",
            "make it with: tar czf source.tar.gz --dereference --hard-dereference -C <folder> .",
        )
    if entry.name.startswith("/") or ".." in entry.name.split("/"):
        raise SourceError(
            f"{entry.name} in it lies outside of its top folder", "make it with: tar czf source.tar.gz -C <folder> ."
        )
    if left < 0:
        raise SourceError(
            f"it unpacks to more than {LARGEST:,} bytes",
            "leave data and weights out of it: those are objects of the bucket under pretrained/",
        )


def gzip(data: bytes) -> bytes:
    """RFC 1952 with a header that has neither name, time nor system, around stored blocks of RFC 1951."""
    starts = range(0, len(data) or 1, LARGEST_BLOCK)
    blocks = bytearray()
    for start in starts:
        chunk = data[start : start + LARGEST_BLOCK]
        last = start == starts[-1]
        blocks += struct.pack("<BHH", last, len(chunk), len(chunk) ^ 0xFFFF) + chunk
    header = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
    return header + bytes(blocks) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
