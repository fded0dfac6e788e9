"""List the objects of a data set, and refuse names that a run could not use."""

from __future__ import annotations

import shlex
import unicodedata
from typing import NamedTuple

from data_sets.names import without_junk
from shared.aws import S3Client
from shared.errors import DataSetError
from start_pipeline.uploads.keys import (
    ARCHIVES,
    LONGEST_NAME,
    RECORDABLE,
    first_invalid_path,
    first_unrecordable,
    is_archive,
)


class Listed(NamedTuple):
    """An object in a listing; the key is relative to the data set's prefix."""

    key: str
    size: int
    etag: str
    last_modified: float  # seconds since the epoch


def prefix_of(data_set: str) -> str:
    """The prefix of the data set's keys: datasets/birds/ for a folder, datasets/ for an archive."""
    return "datasets/" if is_archive(data_set) else f"datasets/{data_set}/"


def list_objects(s3: S3Client, bucket: str, data_set: str) -> list[Listed]:
    """The data set's objects by key, without junk and the zero-byte "folders" that the S3 console makes.

    Junk are the files that Finder, Explorer and archivers leave beside others: they are never part of a data set.
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
    """Raises DataSetError for a name that the registry would reject, after hours of training on that data set."""
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


def refuse_invalid_paths(data_set: str, objects: list[Listed]) -> None:
    """Raises DataSetError for a key that cannot be a file of a job; the job would fail with it minutes later."""
    key = first_invalid_path([listed.key for listed in objects])
    if key is not None:
        raise DataSetError(
            f"{prefix_of(data_set) + key!r} cannot be a file beside the other objects of its data set",
            hint="give it a key whose parts are names of files: not empty, not '.' or '..', not also a folder, "
            f"printable, at most {LONGEST_NAME} bytes each; then remove this one",
        )
