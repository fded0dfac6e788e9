"""Alarms on what nobody would notice: a function that breaks before its messages are handled, and messages that wait.

Dead letters have their alarm with their queue (infra/parts/watched_queue.py). A failed message does not count as a
function error, because the function reports it in its response: an error here is a function that did not respond.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from infra.parts.lambda_function import LambdaFunction
from infra.parts.notices import Notices
from infra.parts.watched_queue import WatchedQueue

PERIOD = Duration.minutes(5)
LONGEST_WAIT = Duration.hours(1)  # the longest that is meant to be: four of SQS's longest delays


class Alarms(Construct):
    """Functions and queues by the name of the function's package; `notify` reads its own queue like the others."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        notices: Notices,
        functions: Mapping[str, LambdaFunction],
        queues: Mapping[str, WatchedQueue],
    ) -> None:
        super().__init__(scope, id)
        self._notices = notices
        for name, function in functions.items():
            errors = function.function.metric_errors(period=PERIOD, statistic="Sum")
            self._raise(
                f"{name}Errors", name, f"The function {name} fails without an answer. Its log says why.", errors
            )
            throttles = function.function.metric_throttles(period=PERIOD, statistic="Sum")
            said = f"The function {name} is throttled. The account's limit of concurrent executions is reached."
            self._raise(f"{name}Throttles", name, said, throttles, periods=3)
        for name, queue in queues.items():
            age = queue.queue.metric_approximate_age_of_oldest_message(period=PERIOD, statistic="Maximum")
            said = (
                f"Messages wait for the function {name} for more than an hour. Is it throttled, or its feed disabled?"
            )
            self._raise(f"{name}Waits", name, said, age, threshold=LONGEST_WAIT.to_seconds())

    def _raise(
        self,
        id: str,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float = 1,
        periods: int = 1,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        # The function for notices cannot report its own failure.
        topic = self._notices.topic if name == "notify" else self._notices.alarms
        alarm.add_alarm_action(actions.SnsAction(topic))
