"""Lifecycle rules of buckets, which ministack keeps and does not enact: what expires is deleted, every 20 seconds.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html. Days are days, with one exception: one
day, the least that S3 knows, is 20 seconds here for versions that are not current, so that those which nobody wants to
keep do not fill this machine's disk. Rules with a filter of tags or sizes are left alone, and so are transitions, which
change no more than the price.
"""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ministack.core import responses
from ministack.services import s3

log = logging.getLogger(__name__)

_SECONDS = 20.0
_DAY = timedelta(days=1)
LEAST = timedelta(seconds=20)  # what a version lives that is not current, under a rule of one day

Rule = dict[str, Any]


async def enact_regularly() -> None:
    """On ministack's loop: its stores are not made for other threads."""
    while True:
        await asyncio.sleep(_SECONDS)
        enact(datetime.now(UTC))


def enact(now: datetime) -> None:
    for (account, bucket), rules in list(s3._bucket_lifecycle._data.items()):
        region = s3._buckets._data.get((account, bucket), {}).get("region")
        with responses.request_scope(account, region or responses.get_region()):
            deleted = sum(_enact(bucket, rule, now) for rule in rules if rule.get("Status") == "Enabled")
        if deleted:
            log.info("%s: %d objects or versions have expired", bucket, deleted)


def _enact(bucket: str, rule: Rule, now: datetime) -> int:
    if set(rule.get("Filter", {})) - {"Prefix"}:
        return 0
    prefix = rule.get("Filter", {}).get("Prefix", "")
    expiration, noncurrent = rule.get("Expiration", {}), rule.get("NoncurrentVersionExpiration", {})
    deleted = 0
    if days := int(expiration.get("Days") or 0):
        deleted += _expire(bucket, prefix, now - days * _DAY)
    if days := int(noncurrent.get("NoncurrentDays") or 0):
        age = LEAST if days == 1 else days * _DAY
        deleted += _expire_versions(bucket, prefix, now - age, int(noncurrent.get("NewerNoncurrentVersions") or 0))
    if expiration.get("ExpiredObjectDeleteMarker"):
        deleted += _expire_markers(bucket, prefix)
    if days := int(rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation") or 0):
        _abort_uploads(bucket, prefix, now - days * _DAY)
    return deleted


def _expire(bucket: str, prefix: str, until: datetime) -> int:
    objects = s3._buckets[bucket]["objects"]
    keys = [key for key, held in objects.items() if key.startswith(prefix) and _time(held["last_modified"]) < until]
    for key in keys:
        s3._delete_object(bucket, key)
    return len(keys)


def _expire_versions(bucket: str, prefix: str, until: datetime, kept: int) -> int:
    """A version is not current from the moment on in which the next one came."""
    old = [
        (key, version["version_id"])
        for key, versions in _histories(bucket, prefix)
        for number, version in enumerate(versions[:-1])
        if _time(versions[number + 1]["last_modified"]) < until and number < len(versions) - 1 - kept
    ]
    for key, version_id in old:
        s3._delete_object_version(s3._buckets[bucket], bucket, key, version_id)
    return len(old)


def _expire_markers(bucket: str, prefix: str) -> int:
    """Delete markers with no versions below them."""
    alone = [
        (key, versions[0]["version_id"])
        for key, versions in _histories(bucket, prefix)
        if len(versions) == 1 and versions[0].get("is_delete_marker")
    ]
    for key, version_id in alone:
        s3._delete_object_version(s3._buckets[bucket], bucket, key, version_id)
    return len(alone)


def _abort_uploads(bucket: str, prefix: str, until: datetime) -> None:
    for upload_id, upload in list(s3._multipart_uploads.items()):
        if upload["bucket"] == bucket and upload["key"].startswith(prefix) and _time(upload["created"]) < until:
            del s3._multipart_uploads[upload_id]


def _histories(bucket: str, prefix: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The versions of each key, oldest first."""
    for (name, key), versions in list(s3._object_versions.items()):
        if name == bucket and key.startswith(prefix):
            yield key, versions


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
