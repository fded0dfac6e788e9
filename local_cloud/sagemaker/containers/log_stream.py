"""A job's output on its way to CloudWatch Logs, written as the job's role, and the metrics in it."""

import logging
import re
import threading
import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

log = logging.getLogger("headrace.sagemaker")

_FLUSH_SECONDS = 1.0
_NAMESPACE = "/aws/sagemaker/TrainingJobs"  # where AWS puts the metrics that an algorithm prints
_LONGEST_LINE = 200_000  # CloudWatch Logs takes 256 KB an event


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
            self._lines.append((int(time.time() * 1000), line.rstrip("\n")[:_LONGEST_LINE] or " "))
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


class Metrics:
    """The last value of each metric, found in the output by ``MetricDefinitions``' regular expressions."""

    def __init__(self, definitions: list[dict[str, str]], job: str) -> None:
        self._patterns = [(item["Name"], re.compile(item["Regex"])) for item in definitions]
        self._dimensions = [{"Name": "TrainingJobName", "Value": job}]
        self._last: dict[str, dict[str, Any]] = {}
        self._unsent: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def read(self, line: str) -> None:
        for name, pattern in self._patterns:
            match = pattern.search(line)
            if match is None or not match.groups():
                continue
            try:
                value = float(match.group(1))
            except ValueError:
                continue  # the expression caught something that is no number
            point = {"MetricName": name, "Value": value, "Timestamp": time.time()}
            with self._lock:
                self._last[name] = point
                self._unsent.append(point | {"Dimensions": self._dimensions})

    def publish(self, client: Any) -> None:
        """Sends what is new to CloudWatch; like logs, metrics that may not be written do not fail the job."""
        with self._lock:
            points, self._unsent = self._unsent, []
        try:
            for start in range(0, len(points), 1000):
                client.put_metric_data(Namespace=_NAMESPACE, MetricData=points[start : start + 1000])
        except ClientError as error:
            log.warning("no metrics of %s: %s", self._dimensions[0]["Value"], error)

    def final(self) -> list[dict[str, Any]]:
        return [self._last[name] for name, _ in self._patterns if name in self._last]
