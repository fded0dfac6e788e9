"""Check a data set's objects before any job starts: what preprocessing would refuse is refused here, free of charge.

Keys and checksums show nearly everything. Files with an unknown suffix, lists and tables are read, as far as the
function's time allows. What remains unknown passes, and the job checks it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from botocore.exceptions import ClientError

from data_sets import kinds, plausibility
from data_sets.archives import sole_archive
from data_sets.errors import ArchiveError
from data_sets.kinds import HEAD_BYTES
from data_sets.listing import Entry
from data_sets.reading import MAX_SKIPPED_SHARE, read
from data_sets.sample import Sample
from data_sets.wording import refusal
from shared import log
from shared.aws import HEAD_REQUESTS_AT_ONCE, S3Client
from shared.errors import DataSetError
from start_pipeline.definition.binding import every_step
from start_pipeline.uploads.checksums import SPARE_SECONDS
from start_pipeline.uploads.keys import is_archive
from start_pipeline.uploads.listing import Listed, prefix_of

SCRIPT = "preprocess.py"
MAX_HEADS = 2_000  # files whose first bytes are read: with 16 requests at once this takes a few seconds
MAX_CONFIRMED = 5  # pairs of objects with equal checksums whose bytes are compared
MAX_CONFIRMED_BYTES = 32 * 2**20  # bytes


class Clock(Protocol):
    def __call__(self) -> float:
        """Seconds of the function's time that are left."""


@dataclass(frozen=True, slots=True)
class ObjectListing:
    """The objects of a data set. Its digests are empty: equal checksums are confirmed first."""

    name: str
    entries: tuple[Entry, ...]
    s3: S3Client
    bucket: str
    prefix: str
    seconds_left: Clock

    def heads(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        sizes = {entry.path: entry.size for entry in self.entries}
        found = {path: b"" for path in paths if sizes[path] == 0}
        asked = [path for path in paths if sizes[path]][:MAX_HEADS]
        with ThreadPoolExecutor(max_workers=HEAD_REQUESTS_AT_ONCE) as pool:
            for start in range(0, len(asked), 10 * HEAD_REQUESTS_AT_ONCE):
                if self.seconds_left() < SPARE_SECONDS:
                    break
                part = asked[start : start + 10 * HEAD_REQUESTS_AT_ONCE]
                found.update(zip(part, pool.map(self._head, part), strict=True))
        return found

    def read(self, path: str) -> bytes:
        return _whole(self.s3, self.bucket, self.prefix + path)

    def digest(self, path: str) -> str:
        return ""

    def _head(self, path: str) -> bytes:
        return _start(self.s3, self.bucket, self.prefix + path)


def _whole(s3: S3Client, bucket: str, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def _start(s3: S3Client, bucket: str, key: str) -> bytes:
    answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{HEAD_BYTES - 1}")
    return bytes(answer["Body"].read(HEAD_BYTES))


def refuse_implausible(
    s3: S3Client,
    bucket: str,
    data_set: str,
    checksums: Mapping[Listed, str],
    definition: Mapping[str, Any],
    *,
    image_kinds: frozenset[str] = kinds.TAKEN,
    seconds_left: Clock,
) -> None:
    """Raises DataSetError with all problems, if the definition prepares data sets with preprocess.py.

    Only the job opens archives.
    """
    arguments = _arguments(definition)
    if arguments is None or is_archive(data_set):
        return
    try:
        if sole_archive(listed.key for listed in checksums):
            return
    except ArchiveError as unclear:
        raise DataSetError(f"data set {data_set}: {unclear.message}", hint=unclear.hint) from unclear
    entries = tuple(Entry(listed.key, listed.size, checksum) for listed, checksum in sorted(checksums.items()))
    listing = ObjectListing(data_set, entries, s3, bucket, prefix_of(data_set), seconds_left)
    try:
        reading = read(listing, max_skipped_share=_limit(arguments), taken=image_kinds)
    except ClientError as error:  # an object was removed: its event schedules another check of the data set
        log.warning("the data set is not read before its run", data_set=data_set, error=str(error))
        return
    known = {entry.path: f"{entry.size} {entry.checksum}" for entry in entries if entry.size and entry.checksum}
    copies = list(_confirmed(listing, plausibility.equal_images(reading.samples, known)))
    problems, warnings = plausibility.copy_problems(copies, reading.accept)
    for warning in (*reading.warnings, *warnings):
        log.info("data set", data_set=data_set, warning=warning)
    if reading.problems or problems:
        refused = refusal([*reading.problems, *problems])
        raise DataSetError(f"data set {data_set}: {refused.message}", hint=refused.hint)


def _confirmed(listing: ObjectListing, copies: Sequence[Sequence[Sample]]) -> Iterator[Sequence[Sample]]:
    """Copies in several classes or splits. Of 100,000 objects of one size, two may have the same CRC32 by chance."""
    sizes = {entry.path: entry.size for entry in listing.entries}
    doubtful = [same for same in copies if len({(sample.label, sample.split) for sample in same}) > 1]
    for number, same in enumerate(doubtful):
        if number < MAX_CONFIRMED and listing.seconds_left() > SPARE_SECONDS:
            if sizes[same[0].path] > MAX_CONFIRMED_BYTES:
                continue
            alike: dict[str, list[Sample]] = {}
            for sample in same[:10]:
                alike.setdefault(hashlib.sha256(listing.read(sample.path)).hexdigest(), []).append(sample)
            yield from (found for found in alike.values() if len(found) > 1)
        elif len(doubtful) > 2 * MAX_CONFIRMED:
            yield same  # so many cannot be a coincidence


def _arguments(definition: Mapping[str, Any]) -> list[str] | None:
    """The arguments of preprocess.py; None if no step runs it: the definition then expects other data sets."""
    for step in every_step(definition.get("Steps", [])):
        match step:
            case {"Arguments": {"AppSpecification": {"ContainerArguments": [first, *words]}}} if first == SCRIPT:
                return [word if isinstance(word, str) else "" for word in words]
    return None


def _limit(arguments: Sequence[str]) -> float | None:
    for name, value in pairwise(arguments):
        if name == "--max-skipped-share":
            try:
                return float(value)
            except ValueError:
                return None
    return MAX_SKIPPED_SHARE
