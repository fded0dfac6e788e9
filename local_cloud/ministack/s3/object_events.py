"""Delivery of S3's events by a few threads that stay.

ministack starts a thread for each event and waits until it runs: a third of what the server did for an upload of many
small files.
"""

import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ministack.services import s3

_THREADS = 8  # a target that is a function holds its thread until the function was asked


def install() -> None:
    s3._fire_s3_event_async = _by_threads_that_stay(s3._fire_s3_event)


def _by_threads_that_stay(fire: Callable[..., None]) -> Callable[..., None]:
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-event")

    def fire_soon(
        bucket: str, key: str, event: str, size: int = 0, etag: str = "", deletion_type: str | None = None, **more: Any
    ) -> None:
        if bucket not in s3._bucket_notifications:
            return
        more["sequencer"] = s3._next_event_sequencer(event)  # now: it says which of two events came first
        scope = contextvars.copy_context()  # account and region of the request
        threads.submit(partial(scope.run, fire, bucket, key, event, size, etag, deletion_type, **more))

    return fire_soon
