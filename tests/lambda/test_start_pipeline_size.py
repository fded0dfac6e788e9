"""A large data set: what it takes of the function's memory and time, and of S3's patience."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from thorough import some

from start_pipeline.uploads import checksums, listing, plausibility, snapshot

OBJECTS, PAGE = some(5_000, thorough=20_000), 1_000
PHOTOGRAPHS = some(10_000, thorough=100_000)
MOST_BYTES_AN_OBJECT = 2_000  # so that 100,000 objects fit into 256 MB, boto3's 50 MB included


class LargeBucket:
    """S3 with one large data set, without botocore, through which 20,000 requests take as long as all other tests."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}
        self.heads = 0
        self.seconds_left = 900.0
        self.head_seconds = 0.0  # that a question takes of it
        self.fails_at: set[int] = set()  # the questions that S3 does not answer

    def get_paginator(self, _: str) -> LargeBucket:
        return self

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        for start in range(0, OBJECTS, PAGE):
            yield {"Contents": [self._item(number) for number in range(start, start + PAGE)]}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.written:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.written[Key]), "ETag": "x"}

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: str) -> None:
        self.written[Key] = Body

    def head_object(self, **_: str) -> dict[str, str]:
        self.heads += 1
        self.seconds_left -= self.head_seconds
        if self.heads in self.fails_at:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "HeadObject")
        return {"ChecksumCRC32": f"{self.heads:08}"}

    def _item(self, number: int) -> dict[str, Any]:
        return {
            "Key": f"datasets/birds/some-species/photograph-{number:06}.jpg",
            "Size": number,
            "ETag": f'"{number:032x}"',
            "LastModified": datetime.fromtimestamp(1_800_000_000 + number, UTC),
        }


def test_memory_stays_bounded_with_many_objects_new_or_known() -> None:
    bucket = LargeBucket()
    tracemalloc.start()
    try:
        for _ in range(2):
            objects = listing.list_objects(bucket, "b", "birds")
            snapshot.take(bucket, "b", "birds", objects, seconds_left=lambda: 900.0)
            assert len(objects) == bucket.heads == OBJECTS
        assert tracemalloc.get_traced_memory()[1] < OBJECTS * MOST_BYTES_AN_OBJECT
    finally:
        tracemalloc.stop()


def looks(bucket: LargeBucket) -> int:
    """How many calls it takes until the whole data set is known, each with 120 s."""
    objects = listing.list_objects(bucket, "b", "birds")
    for number in range(1, 100):
        bucket.seconds_left = 120.0
        try:
            snapshot.take(bucket, "b", "birds", objects, seconds_left=lambda: bucket.seconds_left)
        except snapshot.ChecksumsIncomplete:
            assert bucket.seconds_left > 0
        else:
            return number
    raise AssertionError("it never ends")


@pytest.fixture(autouse=True)
def batches_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 batches, as of 20,000 objects: a call ends its work between two of them."""
    monkeypatch.setattr(checksums, "HEAD_BATCH", OBJECTS // 20)


def test_no_call_runs_out_of_its_time_and_nothing_is_asked_twice() -> None:
    """200 s for all questions, of which a call has 90."""
    bucket = LargeBucket()
    bucket.head_seconds = 200 / OBJECTS
    assert looks(bucket) == 3
    assert bucket.heads == OBJECTS


def test_what_is_known_is_kept_when_s3_asks_to_slow_down() -> None:
    """Else the message would fail, five times at most, and each time begin from nothing."""
    bucket = LargeBucket()
    bucket.fails_at = set(range(OBJECTS // 8, OBJECTS, OBJECTS // 8))
    assert looks(bucket) > 5
    assert bucket.heads < OBJECTS + 8 * checksums.HEAD_BATCH


def test_a_question_that_is_never_answered_fails() -> None:
    bucket = LargeBucket()
    bucket.fails_at = set(range(1, 100_000))
    with pytest.raises(ClientError, match="SlowDown"):
        looks(bucket)


def test_many_objects_are_read_within_the_functions_time_and_memory() -> None:
    """100,000 of them: plain Python over keys, seconds, and with what else is held less than half of 1,024 MB."""
    listed = [
        listing.Listed(f"species-{number % 200:03}/photograph-{number:06}.jpg", 50_000 + number % 977, "x", 0.0)
        for number in range(PHOTOGRAPHS)
    ]
    known = {entry: f"CRC32:{number:08}" for number, entry in enumerate(listed)}
    definition = {
        "Steps": [
            {
                "Name": "Preprocess",
                "Type": "Processing",
                "Arguments": {"AppSpecification": {"ContainerArguments": ["preprocess.py"]}},
            }
        ]
    }
    began = time.process_time()
    tracemalloc.start()
    try:
        plausibility.refuse_implausible(LargeBucket(), "b", "birds", known, definition, seconds_left=lambda: 900.0)
        assert tracemalloc.get_traced_memory()[1] < 3_000 * PHOTOGRAPHS
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 60.0  # with the tracing, which makes it five times as slow
