"""What is in a data set: its objects and their checksums, asked of S3 as seldom as can be.

An ETag will not do for a checksum: that of a KMS-encrypted or multipart object is no hash of its content. A checksum
costs one HeadObject, so the last snapshot's is kept for every object that is the same version still. And when the
function's time is nearly up, what was found so far is kept for the next look: boto3 asks for a few hundred a second,
so that the first 100,000 objects take minutes.
"""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from data_sets.names import without_junk
from shared import log
from shared.aws import HEAD_REQUESTS_AT_ONCE, NOT_FOUND, S3Client, error_code
from shared.errors import DataSetError
from start_pipeline.keys import (
    ARCHIVES,
    LONGEST_NAME,
    RECORDABLE,
    first_that_is_no_file,
    first_unrecordable,
    is_archive,
)

# Those first that the standard library can compute; an object has one of them as a rule.
CHECKSUMS = ("SHA256", "SHA1", "CRC32", "CRC32C", "CRC64NVME", "SHA512", "MD5", "XXHASH3", "XXHASH64", "XXHASH128")
CHECKSUM_HEADER, CHECKSUM_TYPE_HEADER = "x-amz-checksum-", "x-amz-checksum-type"
HEAD_BATCH = 1_000  # objects asked for before the next ones are queued: an executor would queue all 100,000 at once
SPARE_SECONDS = 30  # of the function's time, kept for the last batch and for writing down what was found


class Listed(NamedTuple):
    """An object's version as the listing tells it; the key is relative to the data set's prefix."""

    key: str
    size: int
    etag: str
    last_modified: float  # seconds since the epoch


class ChangedMeanwhile(Exception):
    """An object was replaced or removed between the listing and the question for its checksum."""


def prefix_of(data_set: str) -> str:
    """What object keys are relative to: datasets/birds/ for a folder, datasets/ for an archive."""
    return "datasets/" if is_archive(data_set) else f"datasets/{data_set}/"


def list_objects(s3: S3Client, bucket: str, data_set: str) -> list[Listed]:
    """The data set's objects by key, without junk and the zero-byte "folders" that the S3 console makes.

    Junk is what Finder, Explorer and archivers leave beside files: it is never part of a data set.
    """
    prefix = prefix_of(data_set)
    wanted = prefix + data_set if is_archive(data_set) else prefix
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=wanted)
    found = sorted(
        Listed(item["Key"][len(prefix) :], item["Size"], item["ETag"], item["LastModified"].timestamp())
        for page in pages
        for item in page.get("Contents", [])
        if (item["Key"] == wanted if is_archive(data_set) else not item["Key"].endswith("/"))
    )
    _, junk = without_junk([listed.key for listed in found])
    left_out = set(junk)
    return [listed for listed in found if listed.key not in left_out] if left_out else found


def refuse_unrecordable_name(bucket: str, data_set: str) -> None:
    """Raises DataSetError for a name that the registry would refuse, after hours of training on that data set."""
    sign = first_unrecordable(data_set)
    if sign is not None:
        suffix = next((suffix for suffix in ARCHIVES if data_set.lower().endswith(suffix)), "/")
        recursive = "--recursive " if suffix == "/" else ""
        source = f"s3://{bucket}/datasets/{data_set}" + ("/" if recursive else "")
        raise DataSetError(
            f"{data_set!r} cannot be the name of a data set: no model could be registered with {sign!r} "
            f"({unicodedata.name(sign, 'without a name')}) in it",
            hint=f"rename it, with letters, digits, spaces and {' '.join(RECORDABLE)} only: "
            f"aws s3 mv {recursive}{shlex.quote(source)} s3://{bucket}/datasets/NEW_NAME{suffix}",
        )


def refuse_what_is_no_file(data_set: str, objects: list[Listed]) -> None:
    """Raises DataSetError for a key that a job could not have as a file; it would fail at that, minutes later."""
    key = first_that_is_no_file([listed.key for listed in objects])
    if key is not None:
        raise DataSetError(
            f"{prefix_of(data_set) + key!r} can be no file beside the other objects of its data set",
            hint="give it a key whose parts are names of files: not empty, not '.' or '..', not also a folder, "
            f"printable, at most {LONGEST_NAME} bytes each; then remove this one",
        )


def checksums(
    s3: S3Client,
    bucket: str,
    data_set: str,
    objects: list[Listed],
    known: Mapping[Listed, str],
    *,
    seconds_left: Callable[[], float],
) -> dict[Listed, str]:
    """Each object's checksum as "CRC32:<base64>", from `known` where that holds this very version.

    Fewer than all, if the time did not suffice or S3 failed after some answers. Raises ChangedMeanwhile, and
    DataSetError for an object that S3 holds no checksum of.
    """
    prefix = prefix_of(data_set)
    found = {listed: known[listed] for listed in objects if listed in known}
    unknown = [listed for listed in objects if listed not in known]
    with ThreadPoolExecutor(max_workers=HEAD_REQUESTS_AT_ONCE) as pool:
        for batch in _batches(unknown, HEAD_BATCH):
            if seconds_left() < SPARE_SECONDS:
                break
            asked = pool.map(lambda listed: _checksum(s3, bucket, prefix + listed.key, listed.etag), batch)
            try:
                found.update(zip(batch, asked, strict=True))
            except ClientError as error:
                if len(found) + len(unknown) == len(objects):  # nothing new
                    raise
                log.warning("the rest is asked for later", data_set=data_set, known=len(found), error=str(error))
                break
    return found


def _checksum(s3: S3Client, bucket: str, key: str, etag: str) -> str:
    try:
        head = s3.head_object(Bucket=bucket, Key=key, IfMatch=etag, ChecksumMode="ENABLED")
    except ClientError as error:
        if error_code(error) in NOT_FOUND | {"412", "PreconditionFailed"}:
            raise ChangedMeanwhile(key) from error
        raise
    found = checksum_in(head)
    if found is not None:
        return found
    uri = f"s3://{bucket}/{key}"
    raise DataSetError(
        f"{uri} has no checksum, so a change of its content could not be told",
        hint="copy it onto itself with a checksum algorithm: "
        f"aws s3 cp '{uri}' '{uri}' --checksum-algorithm CRC32 --metadata-directive REPLACE",
    )


def checksum_in(head: Mapping[str, Any]) -> str | None:
    """The checksum in S3's answer, as "CRC32:<base64>"; None without one.

    One of a kind that Lambda's boto3 has no member for is found in the headers: S3 takes more kinds over the years.
    """
    for algorithm in CHECKSUMS:
        if f"Checksum{algorithm}" in head:
            return f"{algorithm}:{head[f'Checksum{algorithm}']}"
    headers: Mapping[str, str] = head.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    others = sorted(name for name in headers if name.startswith(CHECKSUM_HEADER) and name != CHECKSUM_TYPE_HEADER)
    return f"{others[0].removeprefix(CHECKSUM_HEADER).upper()}:{headers[others[0]]}" if others else None


def _batches(items: list[Listed], size: int) -> Iterator[list[Listed]]:
    return (items[start : start + size] for start in range(0, len(items), size))
