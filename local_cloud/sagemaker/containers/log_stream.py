"""The output of a job or an endpoint on its way to CloudWatch Logs, written as its role."""

import logging
import threading
import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

_FLUSH_SECONDS = 1.0
_MAX_LINE = 200_000  # CloudWatch Logs takes 256 KB an event


class LogStream:
    """One stream of a log group. ``write`` never fails the job: without permission there are no logs, as on AWS."""

    def __init__(self, client: Any, group: str, stream: str) -> None:
        self._client, self._group, self._stream = client, group, stream
        self._lines: list[tuple[int, str]] = []
        self._lock = threading.Lock()
        self._flushed = time.monotonic()
        self._usable = self._create()

    def write(self, line: str) -> None:
        with self._lock:
            self._lines.append((int(time.time() * 1000), line.rstrip("\n")[:_MAX_LINE] or " "))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            self._flushed = time.monotonic()
        if not self._usable:
            return
        for start in range(0, len(lines), 1000):
            batch = [{"timestamp": stamp, "message": text} for stamp, text in lines[start : start + 1000]]
            try:
                self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=batch)
            except ClientError as error:
                log.warning("%s/%s: %s", self._group, self._stream, error)

    def _create(self) -> bool:
        try:
            with suppress(self._client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_group(logGroupName=self._group)
            with suppress(self._client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        except ClientError as error:
            log.warning("no logs for %s/%s: %s", self._group, self._stream, error)
            return False
        return True
