"""Bytes of an object that stay on the disk: hashed in pieces, sent in pieces, and kept by a link to their file.

    content = Content.of(path)
    len(content); content[10:20]; md5(content); keep(content, target)

ministack takes and gives a body as `bytes`. A `Content` stands in its place where the body is larger than `IN_MEMORY`.
It is deliberately not `bytes`: what reads it in another way raises a TypeError, and does not load it unseen.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from ministack.services import s3

from local_cloud.ministack.s3.crc64 import Crc64Nvme

IN_MEMORY = 2**20  # bytes
PIECE = 2**20  # bytes


class Content:
    """`size` bytes of a file from `start` on. The file is replaced or deleted at times, but never written to."""

    def __init__(self, path: Path, file: IO[bytes] | None, start: int, size: int, owner: Draft | None = None) -> None:
        self._path, self._file, self._start, self._size = path, file, start, size
        self._owner = owner  # deletes the file when nobody needs it any more

    @classmethod
    def of(cls, path: Path) -> Content:
        """The whole file as it is now, whatever lies at its path later."""
        file = path.open("rb", buffering=0)
        return cls(path, file, 0, os.fstat(file.fileno()).st_size)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> Content:
        start, stop, _ = part.indices(self._size)
        return Content(self._path, self._file, self._start + start, max(0, stop - start), self._owner)

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of at most `PIECE` bytes. Raises OSError if the file is shorter than it was."""
        file = self._file or self._path.open("rb", buffering=0)
        try:
            done = 0
            while done < self._size:
                piece = os.pread(file.fileno(), min(PIECE, self._size - done), self._start + done)
                if not piece:
                    raise OSError(f"{self._path} ended after {self._start + done} bytes")
                done += len(piece)
                yield piece
        finally:
            if file is not self._file:
                file.close()

    def decode(self, *_: str, **__: str) -> str:
        """For ministack, which looks for parameters of a form in the body: an object holds none."""
        return ""

    def whole_file(self) -> Path | None:
        """A path at which just these bytes lie at this moment, to be linked."""
        with suppress(OSError):
            there = self._path.stat()
            same = self._file is None or os.path.samestat(there, os.fstat(self._file.fileno()))
            if same and self._start == 0 and there.st_size == self._size:
                return self._path
        return None


class Draft:
    """A file in the making; it goes when the last `Content` of it goes."""

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp(prefix="body-")
        self.path = Path(name)
        self.size = 0
        self._file: IO[bytes] = os.fdopen(descriptor, "wb", buffering=0)

    def write(self, piece: bytes) -> None:
        self._file.write(piece)  # a regular file takes all of it, or raises OSError
        self.size += len(piece)

    def content(self) -> Content:
        """Ends the writing. The file is opened for each reading: an upload may have 10,000 parts."""
        self._file.close()
        return Content(self.path, None, 0, self.size, self)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Deletes a file that did not come to be: the exception keeps this alive until it is collected."""
        if kind is not None:
            self._delete()

    def __del__(self) -> None:
        self._delete()

    def _delete(self) -> None:
        with suppress(OSError, AttributeError):  # the file may be missing, where the disk was full
            self._file.close()
            self.path.unlink()


def joined(contents: Iterable[bytes | Content]) -> Content:
    with Draft() as draft:
        for content in contents:
            for piece in pieces(content):
                draft.write(piece)
        return draft.content()


def pieces(content: bytes | Content) -> Iterable[bytes]:
    return content if isinstance(content, Content) else (content,)


def loaded(content: bytes | Content | None) -> bytes | None:
    """As `bytes`, for services that need them whole, such as Lambda for a function's archive."""
    return b"".join(content) if isinstance(content, Content) else content


def keep(content: Content, target: Path) -> None:
    """Makes a file at `target` that holds the content: by a hard link if it can be, else by a copy.

    A link is safe because nothing here writes into a file that is there: a new one takes its place.
    """
    target.unlink(missing_ok=True)
    whole = content.whole_file()
    if whole is not None:
        with suppress(OSError):  # another file system, or one that has no links
            os.link(whole, target)
            return
    with target.open("wb") as file:
        os.chmod(target, 0o600)
        for piece in content:
            file.write(piece)


def md5(content: Content) -> bytes:
    return _digest(hashlib.md5(usedforsecurity=False), content)


def checksum(algorithm: str, content: Content) -> str | None:
    """As S3 gives it; None for an algorithm that ministack does not know either."""
    match algorithm.upper().replace("_", ""):
        case "SHA256":
            found = _digest(hashlib.sha256(), content)
        case "SHA1":
            found = _digest(hashlib.sha1(usedforsecurity=False), content)
        case "CRC32":
            found = struct.pack(">I", _crc(zlib.crc32, content))
        case "CRC32C":
            found = struct.pack(">I", _crc(_crc32c, content))
        case "CRC64NVME":
            crc = Crc64Nvme()
            for piece in content:
                crc.update(piece)
            found = struct.pack(">Q", crc.value)
        case _:
            return None
    return base64.b64encode(found).decode()


def _digest(digest: hashlib._Hash, content: Content) -> bytes:
    for piece in content:
        digest.update(piece)
    return digest.digest()


def _crc(update: Callable[[bytes, int], int], content: Content) -> int:
    crc = 0
    for piece in content:
        crc = update(piece, crc)
    return crc


def _crc32c(piece: bytes, crc: int) -> int:
    """Goes on from the CRC of what came before, as `zlib.crc32` does."""
    crc ^= 0xFFFFFFFF
    for byte in piece:
        crc = s3._CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
