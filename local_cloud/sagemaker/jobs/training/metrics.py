"""The metrics in a training job's output, on their way to CloudWatch, written as the job's role."""

import logging
import re
import threading
import time
from typing import Any

from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

_NAMESPACE = "/aws/sagemaker/TrainingJobs"  # where AWS puts the metrics that an algorithm prints


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
                continue  # the expression matched something that is not a number
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
