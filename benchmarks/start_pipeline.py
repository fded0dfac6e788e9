"""What one look at a large data set takes of start_pipeline: time, and memory as the process is charged for it.

    python benchmarks/start_pipeline.py [--objects 100000]

Three looks, each in a separate process: the first asks for every checksum, the next finds nothing new, and the last
finds one object changed. S3 is in the process and answers at once, so this is the function's own share. On AWS most of
the first look is waiting for answers; what does not fit into the function's time is left to the next call.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))

from botocore.exceptions import ClientError

from shared import aws
from start_pipeline.uploads import listing, snapshot

PAGE = 1_000
LATEST = "manifests/birds/latest.json"


class Bucket:
    """S3 with one large data set; `changed` is the number of the object that is another version."""

    def __init__(self, objects: int, written: dict[str, bytes], changed: int | None) -> None:
        self.objects, self.written, self.changed = objects, written, changed
        self.asked = 0

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        for start in range(0, self.objects, PAGE):
            yield {"Contents": [self.item(number) for number in range(start, min(start + PAGE, self.objects))]}

    def item(self, number: int) -> dict[str, Any]:
        return {
            "Key": f"datasets/birds/some-species/photograph-{number:06}.jpg",
            "Size": number,
            "ETag": f'"{number + (number == self.changed):032x}"',
            "LastModified": datetime.fromtimestamp(1_800_000_000 + number, UTC),
        }

    def head_object(self, **_: str) -> dict[str, str]:
        self.asked += 1
        return {"ChecksumCRC32": "AAAAAA=="}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.written:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.written[Key]), "ETag": "x"}

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: str) -> None:
        self.written[Key] = Body


def look(objects: int, latest: bytes | None, changed: int | None) -> tuple[float, int, int, bytes]:
    """Seconds, the process's peak memory in MB, checksums asked for, and what is known afterwards."""
    aws.session()  # imported, as in the function
    bucket = Bucket(objects, {} if latest is None else {LATEST: latest}, changed)
    began = time.perf_counter()
    with redirect_stdout(sys.stderr):  # the function's log
        listed = listing.list_objects(bucket, "b", "birds")
        snapshot.take(bucket, "b", "birds", listed, seconds_left=lambda: 900.0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.perf_counter() - began, peak // 1_000, bucket.asked, bucket.written[LATEST]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000, help="objects of the data set (%(default)s)")
    objects = parser.parse_args().objects
    latest = None
    print(f"{objects:,} objects         time   peak memory   checksums asked for")
    for name, changed in (("all new", None), ("nothing new", None), ("one changed", 0)):
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            seconds, peak, asked, latest = pool.submit(look, objects, latest, changed).result()
        print(f"{name:15} {seconds:9.1f} s {peak:10} MB {asked:15,}")


if __name__ == "__main__":
    main()
