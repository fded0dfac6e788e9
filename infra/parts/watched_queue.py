"""A queue that feeds a function. What cannot be processed ends in a dead-letter queue, whose alarm notifies people."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.parts.grants import allow
from infra.parts.lambda_function import LambdaFunction

# What Lambda's poller needs of the function's role. ChangeMessageVisibility is for lambda/shared/sqs_batch.py.
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html, "Setting execution role permissions"
POLL = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
CONCURRENCY = 2  # batches at once, the fewest that Lambda takes as a limit
RECEIVES = 5  # AWS asks for at least 5, so that throttling alone dead-letters nothing
VISIBILITY_FACTOR = 6  # AWS asks for six times the function's timeout


class WatchedQueue(Construct):
    """Encrypted with keys that SQS manages: S3 and EventBridge can write to it without a grant on a key.

    `what_is_lost` is one sentence, for the alarm; `read_by` is the function's package.
    """

    def __init__(
        self, scope: Construct, id: str, *, timeout: Duration, alarm_topic: sns.ITopic, what_is_lost: str, read_by: str
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * timeout.to_seconds()),
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=RECEIVES),
        )
        self.arns = [self.queue.queue_arn, self.dead_letters.queue_arn]
        self.alarm = cloudwatch.Alarm(
            self,
            "DeadLettersAlarm",
            alarm_description=f"{what_is_lost} The messages lie in the dead-letter queue "
            f"{self.dead_letters.queue_name}, and the log of {read_by} says why. Fix that, then redrive them.",
            metric=self.dead_letters.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.alarm.add_alarm_action(actions.SnsAction(alarm_topic))

    def feed(self, target: LambdaFunction) -> lambda_.EventSourceMapping:
        """Only messages that failed come back: the function names them in its answer.

        Without a limit, a burst of uploads takes all the concurrent executions of a new account, which are 10; what
        Lambda then throttles counts as received, and ends as a dead letter.
        """
        allow(target.role, [*POLL, "sqs:ChangeMessageVisibility"], [self.queue.queue_arn])
        return lambda_.EventSourceMapping(
            self,
            "Feed",
            target=target.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=10,
            report_batch_item_failures=True,
            max_concurrency=CONCURRENCY,
        )
