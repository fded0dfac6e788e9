"""A large data set: what it takes of the function's memory."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from start_pipeline import data_set, snapshot

OBJECTS, PAGE = 20_000, 1_000
MOST_BYTES_AN_OBJECT = 2_000  # so that 100,000 objects fit into 256 MB, boto3's 50 MB included


class LargeBucket:
    """S3 with one large data set, without botocore, through which 20,000 requests take as long as all other tests."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}
        self.heads = 0

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
            objects = data_set.list_objects(bucket, "b", "birds")
            snapshot.take(bucket, "b", "birds", objects, seconds_left=lambda: 900.0)
            assert len(objects) == bucket.heads == OBJECTS
        assert tracemalloc.get_traced_memory()[1] < OBJECTS * MOST_BYTES_AN_OBJECT
    finally:
        tracemalloc.stop()
