"""Alarms that look at their own metric, and the clock that has them look."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import cloudwatch, sqs

_QUEUE_LENGTH = "ApproximateNumberOfMessagesVisible"


def install() -> None:
    cloudwatch._evaluate_alarm = _by_dimensions(cloudwatch._evaluate_alarm)


def _by_dimensions(original: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """An alarm looks at the metric with its own dimensions; ministack's looks at all of that name."""

    def evaluate(alarm: dict[str, Any]) -> None:
        dimensions = alarm.get("Dimensions") or {}
        named = cloudwatch._dims_from_list(dimensions) if isinstance(dimensions, list) else dimensions
        key, everything = cloudwatch._dims_key(named), cloudwatch._metrics
        cloudwatch._metrics = {name: points for name, points in everything.items() if name[2] == key}
        try:
            original(alarm)
        finally:
            cloudwatch._metrics = everything

    return evaluate


async def watch_queues() -> None:
    """The clock that ministack's alarms lack: every second the queues' length is a metric, and alarms are evaluated."""
    # CloudWatch reaches SNS, and SNS its queues, over TLS; a queue that takes nothing else would refuse the alarm.
    iam_evaluator.pin_request_origin("", True)
    for tick in itertools.count():
        await asyncio.sleep(1)
        scopes = set()
        for (account, region, _), queue in list(sqs._queues._data.items()):
            scopes.add((account, region))
            now = time.time()
            length = sum(message["visible_at"] <= now for message in queue["messages"])
            if length or tick % 30 == 0:  # an empty queue says so now and then, so that an alarm can end
                with responses.request_scope(account, region):
                    dimensions = {"QueueName": queue["name"]}
                    cloudwatch.record_metric("AWS/SQS", _QUEUE_LENGTH, length, "Count", dimensions)
        for scope in scopes:
            with responses.request_scope(*scope):
                cloudwatch._evaluate_all_alarms()
