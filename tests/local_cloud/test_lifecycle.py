"""Lifecycle rules of a bucket: what expires, when, and what stays. On ministack's stores, with a clock of the test."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ministack.services import s3

from local_cloud.ministack.s3 import lifecycle

BUCKET = "expiring"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def now() -> Iterator[datetime]:
    s3._create_bucket(BUCKET, b"")
    s3._bucket_versioning[BUCKET] = "Enabled"
    yield datetime.now(UTC)
    s3.reset()


def put(key: str, times: int = 1) -> None:
    for number in range(times):
        assert s3._put_object(BUCKET, key, str(number).encode(), {})[0] == 200


def rule(**more: Any) -> None:
    s3._bucket_lifecycle[BUCKET] = [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "checkpoints/"}} | more]


def versions(key: str) -> list[str]:
    """Sizes aside: an object or a marker, oldest first."""
    found = s3._object_versions.get((BUCKET, key), [])
    return ["marker" if version.get("is_delete_marker") else "object" for version in found]


def test_versions_that_are_not_current_expire_after_seconds_under_a_rule_of_one_day(now: datetime) -> None:
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 1})
    put("checkpoints/a", 3)
    put("code/source", 3)
    lifecycle.enact(now + lifecycle.LEAST / 2)
    assert versions("checkpoints/a") == ["object"] * 3
    lifecycle.enact(now + 2 * MINUTE)
    assert versions("checkpoints/a") == ["object"]
    assert s3._get_object(BUCKET, "checkpoints/a", {})[2] == b"2"
    assert versions("code/source") == ["object"] * 3


def test_under_a_longer_rule_days_are_days(now: datetime) -> None:
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 30})
    put("checkpoints/a", 2)
    lifecycle.enact(now + 29 * DAY)
    assert versions("checkpoints/a") == ["object"] * 2
    lifecycle.enact(now + 31 * DAY)
    assert versions("checkpoints/a") == ["object"]


def test_a_deleted_object_goes_and_then_its_marker(now: datetime) -> None:
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"ExpiredObjectDeleteMarker": True})
    put("checkpoints/a")
    s3._delete_object(BUCKET, "checkpoints/a")
    assert versions("checkpoints/a") == ["object", "marker"]
    lifecycle.enact(now + 2 * MINUTE)
    assert versions("checkpoints/a") == []


def test_newer_versions_that_are_to_be_kept_are_kept(now: datetime) -> None:
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2})
    put("checkpoints/a", 5)
    lifecycle.enact(now + 2 * MINUTE)
    assert versions("checkpoints/a") == ["object"] * 3
    assert s3._get_object(BUCKET, "checkpoints/a", {})[2] == b"4"


def test_a_current_object_expires_with_a_marker_after_its_days(now: datetime) -> None:
    rule(Expiration={"Days": 1})
    put("checkpoints/a")
    put("runs/a")
    lifecycle.enact(now + 23 * timedelta(hours=1))
    assert versions("checkpoints/a") == ["object"]
    lifecycle.enact(now + 25 * timedelta(hours=1))
    assert versions("checkpoints/a") == ["object", "marker"]
    assert versions("runs/a") == ["object"]


@pytest.mark.parametrize("more", [{"Status": "Disabled"}, {"Filter": {"Tag": {"Key": "a", "Value": "b"}}}])
def test_a_rule_that_is_off_or_has_a_filter_of_tags_deletes_nothing(now: datetime, more: dict[str, Any]) -> None:
    rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}, Expiration={"Days": 1}, **more)
    put("checkpoints/a", 2)
    lifecycle.enact(now + 2 * DAY)
    assert versions("checkpoints/a") == ["object"] * 2
