"""Data sets in the data bucket."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_sets.archive_listing import ArchiveListing
from data_sets.archives import sole_archive
from data_sets.errors import DataSetError
from data_sets.kinds import HEAD_BYTES
from data_sets.listing import Entry
from data_sets.names import is_archive, without_junk
from data_sets.reading import Reading, read
from headrace.client.data_set import image_kinds
from headrace.client.environment import Environment
from headrace.errors import NotFound, UsageError

THREADS = 16


CHUNK = 2**20


def data_set_location(environment: Environment, name: str) -> str:
    """The prefix or the key of a data set in the bucket. Raises NotFound, with the names of those that are there."""
    there = data_set_names(environment)
    if name not in there:
        shown = ", ".join(there[:9]) or "none"
        raise NotFound(
            f"there is no data set {name} in {environment.stack.data_bucket}, and no file or folder of that name here; "
            f"data sets: {shown}",
            hint=environment.command("upload FOLDER"),
        )
    return f"datasets/{name}" + ("" if is_archive(name) else "/")


def data_set_names(environment: Environment) -> list[str]:
    bucket = environment.stack.data_bucket
    with environment.doing(f"listing the data sets of {bucket}"):
        pages = environment.client("s3").get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix="datasets/", Delimiter="/"
        )  # fmt: skip
        names = []
        for page in pages:
            names += [item["Prefix"].split("/")[1] for item in page.get("CommonPrefixes", [])]
            names += [item["Key"].split("/")[1] for item in page.get("Contents", [])]
    return sorted(name for name in names if name)


def _in_bucket(environment: Environment, name: str, limit: float) -> Reading:
    location, bucket = data_set_location(environment, name), environment.stack.data_bucket
    s3 = environment.client("s3")
    with environment.doing(f"reading s3://{bucket}/{location}"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=location)
        entries = {
            item["Key"].removeprefix(location): item["Size"] for page in pages for item in page.get("Contents", [])
        }
        kept, _ = without_junk(path for path in entries if path and not path.endswith("/"))
        try:
            archive = "" if is_archive(name) else sole_archive(kept)
            if archive is not None:
                return _packed(s3, bucket, location + archive, limit)
        except DataSetError as refused:
            raise UsageError(f"{name}: {refused.message}", hint=refused.hint) from refused
        listed = tuple(Entry(path, size) for path, size in sorted(entries.items()) if not path.endswith("/"))
        return read(Stored(name, listed, s3, bucket, location), max_skipped_share=limit, taken=image_kinds())


def _packed(s3: Any, bucket: str, key: str, limit: float) -> Reading:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, key.rpartition("/")[2])
        with path.open("wb") as file:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file, CHUNK)
        return read(ArchiveListing.of(path), max_skipped_share=limit, taken=image_kinds(), exact=True)


@dataclass(frozen=True, slots=True)
class Stored:
    """The objects of a data set as a listing; equal bytes are found by the checksums that S3 holds."""

    name: str
    entries: tuple[Entry, ...]
    s3: Any
    bucket: str
    prefix: str

    def heads(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        sizes = {entry.path: entry.size for entry in self.entries}
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(paths, pool.map(lambda path: self._head(path) if sizes[path] else b"", paths), strict=True))

    def read(self, path: str) -> bytes:
        return _content(self.s3, self.bucket, self.prefix + path)

    def digest(self, path: str) -> str:
        return _checksum(self.s3, self.bucket, self.prefix + path)

    def _head(self, path: str) -> bytes:
        return _content(self.s3, self.bucket, self.prefix + path, f"bytes=0-{HEAD_BYTES - 1}")


def _content(s3: Any, bucket: str, key: str, range: str = "bytes=0-") -> bytes:
    content: bytes = s3.get_object(Bucket=bucket, Key=key, Range=range)["Body"].read()
    return content


def _checksum(s3: Any, bucket: str, key: str) -> str:
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return next(
        (str(head[name]) for name in sorted(head) if name.startswith("Checksum") and name != "ChecksumType"), ""
    )
