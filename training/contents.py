"""contents.json: the objects of a data set as the pipeline was started for, and whether these files are still they."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from errors import ContentsError, some_of


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class CRC32:
    """zlib's CRC-32 with the interface of a hashlib hash; S3 gives its four bytes big-endian."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes, /) -> None:
        self.value = zlib.crc32(data, self.value)

    def digest(self) -> bytes:
        return self.value.to_bytes(4, "big")


# S3 knows CRC32C and CRC64NVME too: in Python alone they run at a few MB/s, so those objects are checked by size.
HASHES: dict[str, Callable[[], Hash]] = {"CRC32": CRC32, "SHA1": hashlib.sha1, "SHA256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str  # relative to the data set's prefix
    size: int
    checksum: str  # "CRC32:<base64>"; empty when S3 has none

    def hash(self) -> tuple[Callable[[], Hash], str] | None:
        """How to compute the checksum and what it must be; None when that cannot be done here.

        A composite checksum ("<base64>-<parts>") is one of a multipart upload's parts, whose sizes are not known.
        """
        algorithm, _, expected = self.checksum.partition(":")
        return (HASHES[algorithm], expected) if algorithm in HASHES and "-" not in expected else None


@dataclass(frozen=True, slots=True)
class Contents:
    data_set: str
    fingerprint: str
    objects: tuple[StoredObject, ...]


def read_contents(path: Path) -> Contents:
    try:
        document = json.loads(path.read_text("utf-8"))
        objects = tuple(
            StoredObject(str(entry["key"]), int(entry["size"]), str(entry.get("checksum") or ""))
            for entry in document["objects"]
            if not entry["key"].endswith("/")  # the empty object that the S3 console makes for a folder
        )
        return Contents(str(document["data_set"]), str(document["fingerprint"]), objects)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContentsError(
            f"{path} is not a list of contents: {type(error).__name__}: {error}",
            hint="it is the contents.json that the start-pipeline function writes beside the manifest",
        ) from error


def verify(contents: Contents, folder: Path, threads: int) -> int:
    """Compare every file below `folder` with the contents; return how many could be checked by their size alone.

    Raises ContentsError, naming the first few, when a file is missing, not listed, or has other bytes.
    """
    listed = {entry.key: entry for entry in contents.objects}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    with ThreadPoolExecutor(threads) as pool:
        present = [entry for key, entry in sorted(listed.items()) if key in found]
        same = pool.map(lambda entry: is_same(entry, folder / entry.key), present)
        differing = [entry.key for entry, equal in zip(present, same, strict=True) if not equal]
    for keys, what in (
        (sorted(listed.keys() - found), "missing"),
        (sorted(found - listed.keys()), "not listed in contents.json"),
        (differing, "not the bytes that contents.json lists"),
    ):
        if keys:
            raise ContentsError(
                f"data set {contents.data_set} changed since the pipeline was started: "
                f"{len(keys)} of {len(listed)} objects {what}: {some_of(keys)}",
                hint="wait until the upload is complete; the pipeline starts again for the new contents",
            )
    return sum(entry.hash() is None for entry in present)


def is_same(entry: StoredObject, path: Path) -> bool:
    if path.stat().st_size != entry.size:
        return False
    known = entry.hash()
    if known is None:
        return True
    make_hash, expected = known
    hash = make_hash()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(2**16):  # larger ones are mapped again each time, which takes as long as the hash
            hash.update(chunk)
    return base64.b64encode(hash.digest()).decode() == expected
