"""Objects with the same content take the room of one: each further one is a hard link to the first one's file.

A run stores one artifact up to four times: a lane's, the other lane's with the same weights, the winner, and the copy
that is registered. A link is safe because nothing here writes into a file that is there: a new one takes its place.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ministack.services import s3

from local_cloud.ministack.s3.content import Content, pieces

_MIN_BYTES = 2**16  # bytes; below, hashing a file costs more than the room that it takes
_MAX_CONTENTS = 10_000  # contents that are remembered, those that were written last

File = tuple[str, int, int, int]
"""Where a content was written last, with what identifies that file: inode, size, time of change in ns."""


def install() -> None:
    s3._atomic_write = _once(s3._atomic_write)


def _once(original: Callable[..., None]) -> Callable[..., None]:
    written: OrderedDict[bytes, File] = OrderedDict()

    def atomic_write(path: str, data: Any, *, text: bool = False) -> None:
        if text or len(data) < _MIN_BYTES:
            original(path, data, text=text)
            return
        sha256 = _sha256(data)
        there = written.pop(sha256, None)
        if there is None or not _link(there, path):
            original(path, data)
        with suppress(OSError):  # it was deleted in this moment
            written[sha256] = _file(path)
        if len(written) > _MAX_CONTENTS:
            written.popitem(last=False)

    return atomic_write


def _link(there: File, path: str) -> bool:
    """False where the content is not there any more, or cannot be linked; then it has to be written."""
    draft = f"{path}.tmp"
    try:
        Path(draft).unlink(missing_ok=True)
        os.link(there[0], draft)
        if _file(draft)[1:] == there[1:]:
            os.replace(draft, path)
            return True
        return False
    except OSError:  # deleted meanwhile, as many links as the file system allows, or one that has none
        return False
    finally:
        Path(draft).unlink(missing_ok=True)  # of two links to one file, replacing one by the other does nothing


def _file(path: str) -> File:
    found = os.stat(path)
    return path, found.st_ino, found.st_size, found.st_mtime_ns


def _sha256(data: bytes | Content) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces(data):
        digest.update(piece)
    return digest.digest()
