"""The checksums of a data set's objects, with as few requests to S3 as possible.

An ETag does not serve as a checksum: that of a KMS-encrypted or multipart object is not a hash of its content. A
checksum costs one HeadObject, so the last snapshot's is kept for every object that is still the same version. When the
function's time is nearly over, the checksums found so far are kept for the next check: boto3 sends a few hundred
requests a second, so the first 100,000 objects take minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from shared import log
from shared.aws import HEAD_REQUESTS_AT_ONCE, NOT_FOUND, S3Client, error_code
from shared.errors import DataSetError
from start_pipeline.uploads.listing import Listed, prefix_of

# In order of preference: those that the standard library can compute come first. An object usually has one.
CHECKSUMS = ("SHA256", "SHA1", "CRC32", "CRC32C", "CRC64NVME", "SHA512", "MD5", "XXHASH3", "XXHASH64", "XXHASH128")
CHECKSUM_HEADER, CHECKSUM_TYPE_HEADER = "x-amz-checksum-", "x-amz-checksum-type"
HEAD_BATCH = 1_000  # objects asked for before the next ones are queued: an executor would queue all 100,000 at once
SPARE_SECONDS = 30  # of the function's time, reserved for the last batch and for writing the results


class ChangedMeanwhile(Exception):
    """An object was replaced or removed between the listing and the request for its checksum."""


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

    The result is incomplete if the time was too short, or if S3 failed after some answers. Raises ChangedMeanwhile, and
    DataSetError for an object without a checksum in S3.
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
        f"{uri} has no checksum, so a change of its content could not be detected",
        hint="copy it onto itself with a checksum algorithm: "
        f"aws s3 cp '{uri}' '{uri}' --checksum-algorithm CRC32 --metadata-directive REPLACE",
    )


def checksum_in(head: Mapping[str, Any]) -> str | None:
    """The checksum in S3's answer, as "CRC32:<base64>"; None without one.

    A checksum of an algorithm that Lambda's boto3 does not know is read from the headers: S3 adds algorithms over time.
    """
    for algorithm in CHECKSUMS:
        if f"Checksum{algorithm}" in head:
            return f"{algorithm}:{head[f'Checksum{algorithm}']}"
    headers: Mapping[str, str] = head.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    others = sorted(name for name in headers if name.startswith(CHECKSUM_HEADER) and name != CHECKSUM_TYPE_HEADER)
    return f"{others[0].removeprefix(CHECKSUM_HEADER).upper()}:{headers[others[0]]}" if others else None


def _batches(items: list[Listed], size: int) -> Iterator[list[Listed]]:
    return (items[start : start + size] for start in range(0, len(items), size))
