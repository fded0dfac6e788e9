"""A snapshot of a data set: its fingerprint, and the manifest through which a pipeline execution reads it.

manifests/<data set>/<fingerprint>/objects.manifest   SageMaker's ManifestFile: the prefix, then the relative keys
manifests/<data set>/<fingerprint>/contents.json      key, size and checksum of each object; the first job verifies
                                                      that it got exactly these bytes
manifests/<data set>/latest.json                      the last snapshot with each object's version: checksums are
                                                      requested for new versions only
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from shared import log, s3_json
from shared.aws import S3Client
from shared.errors import DataSetError
from shared.hashing import digest
from start_pipeline.uploads.checksums import ChangedMeanwhile, checksums
from start_pipeline.uploads.listing import (
    Listed,
    prefix_of,
    refuse_invalid_paths,
    refuse_unrecordable_name,
)

FINGERPRINT_DIGITS = 32


class ChecksumsIncomplete(Exception):
    """Some checksums are missing: the function's time was too short, or S3 throttled. The others are stored."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    data_set: str
    fingerprint: str
    newest_upload: datetime
    checksums: Mapping[Listed, str] = field(default_factory=dict, compare=False, repr=False)


def take(
    s3: S3Client, bucket: str, data_set: str, objects: list[Listed], *, seconds_left: Callable[[], float]
) -> Snapshot:
    """Fingerprint the listed objects and write the manifest, unless the last snapshot has the same content.

    Raises ChangedMeanwhile, ChecksumsIncomplete, and DataSetError: for an object without a checksum, for a key that
    cannot be a file, and for a data set with a name that the model registry would refuse.
    """
    refuse_unrecordable_name(bucket, data_set)
    refuse_invalid_paths(data_set, objects)
    known, written = _read_latest(s3, bucket, data_set)
    found = checksums(s3, bucket, data_set, objects, known, seconds_left=seconds_left)
    if len(found) < len(objects):
        _write_latest(s3, bucket, data_set, written, found)
        raise ChecksumsIncomplete(f"{len(found)} of {len(objects)} checksums known")
    fingerprint = fingerprint_of(data_set, ((listed.key, listed.size, found[listed]) for listed in objects))
    if fingerprint != written:
        _write_manifest(s3, bucket, data_set, fingerprint, objects, found)
    if fingerprint != written or found != known:  # last, so that its fingerprint says: this manifest exists
        _write_latest(s3, bucket, data_set, fingerprint, found)
    newest = max(listed.last_modified for listed in objects)
    log.info(
        "data set fingerprinted",
        data_set=data_set,
        fingerprint=fingerprint,
        objects=len(objects),
        asked=sum(listed not in known for listed in objects),
    )
    return Snapshot(data_set, fingerprint, datetime.fromtimestamp(newest, UTC), found)


def prefetch(
    s3: S3Client, bucket: str, data_set: str, objects: list[Listed], *, seconds_left: Callable[[], float]
) -> None:
    """Fetch checksums while an upload goes on, so that few are missing when it has ended.

    Errors are only logged: the check after the upload reports them.
    """
    try:
        known, written = _read_latest(s3, bucket, data_set)
        found = checksums(s3, bucket, data_set, objects, known, seconds_left=seconds_left)
        if found.keys() - known.keys():
            _write_latest(s3, bucket, data_set, written, found)
    except (ChangedMeanwhile, ClientError, DataSetError) as problem:
        log.info("not got ahead", reason=str(problem))


def state_of(objects: Iterable[Listed]) -> str:
    """A digest of keys and ETags: equal for two listings of the same objects in the same versions."""
    return digest([[listed.key, listed.etag] for listed in objects])[:FINGERPRINT_DIGITS]


def fingerprint_of(data_set: str, contents: Iterable[tuple[str, int, str]]) -> str:
    """The first 32 hexadecimal digits of SHA-256 over [data set, [[key, size, checksum], … by key]]."""
    return digest([data_set, sorted(contents)])[:FINGERPRINT_DIGITS]


def _write_manifest(
    s3: S3Client, bucket: str, data_set: str, fingerprint: str, objects: list[Listed], found: dict[Listed, str]
) -> None:
    folder = f"manifests/{data_set}/{fingerprint}"
    prefix = {"prefix": f"s3://{bucket}/{prefix_of(data_set)}"}
    _put(s3, bucket, f"{folder}/objects.manifest", [prefix, *(listed.key for listed in objects)])
    contents = [{"key": listed.key, "size": listed.size, "checksum": found[listed]} for listed in objects]
    _put(s3, bucket, f"{folder}/contents.json", {"data_set": data_set, "fingerprint": fingerprint, "objects": contents})


def _read_latest(s3: S3Client, bucket: str, data_set: str) -> tuple[dict[Listed, str], str | None]:
    """The known checksums, and the fingerprint of the last manifest. The large parsed JSON is freed on return."""
    latest = s3_json.read(s3, bucket, _latest_key(data_set))
    if latest is None:
        return {}, None
    return {Listed(*row[:4]): row[4] for row in latest.content["objects"]}, latest.content["fingerprint"]


def _write_latest(s3: S3Client, bucket: str, data_set: str, fingerprint: str | None, found: dict[Listed, str]) -> None:
    rows = [[*listed, checksum] for listed, checksum in sorted(found.items())]
    _put(s3, bucket, _latest_key(data_set), {"data_set": data_set, "fingerprint": fingerprint, "objects": rows})


def _latest_key(data_set: str) -> str:
    return f"manifests/{data_set}/latest.json"


def _put(s3: S3Client, bucket: str, key: str, content: object) -> None:
    body = json.dumps(content, separators=(",", ":")).encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
