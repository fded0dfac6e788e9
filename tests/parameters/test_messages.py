"""SQS, SNS, STS, CloudWatch and CloudWatch Logs: each parameter that our code passes has its effect."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import make_role, policy
from tried import tries

Connect = Callable[[str], Any]


def name() -> str:
    return f"tried-{secrets.token_hex(5)}"


@pytest.fixture
def queue(connect: Connect) -> str:
    return str(connect("sqs").create_queue(QueueName=name())["QueueUrl"])


@tries("sqs.SendMessage", "QueueUrl MessageBody DelaySeconds MessageAttributes")
@tries("sqs.ReceiveMessage", "QueueUrl MaxNumberOfMessages MessageAttributeNames MessageSystemAttributeNames")
@tries("sqs.ReceiveMessage", "VisibilityTimeout WaitTimeSeconds")
@tries("sqs.ChangeMessageVisibility", "QueueUrl ReceiptHandle VisibilityTimeout")
@tries("sqs.DeleteMessage", "QueueUrl ReceiptHandle")
@tries("sqs.GetQueueAttributes", "QueueUrl AttributeNames")
def test_messages(connect: Connect, queue: str) -> None:
    sqs = connect("sqs")
    reason = {"DataType": "String", "StringValue": "because"}
    for number in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=str(number), MessageAttributes={"Reason": reason, "Other": reason})
    waiting = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert waiting == {"ApproximateNumberOfMessages": "3"}

    def receive(**parameters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=queue, **parameters).get("Messages", [])
        return found

    (plain,) = receive(VisibilityTimeout=0)
    assert not {"MessageAttributes", "Attributes"} & plain.keys()
    found = receive(
        MaxNumberOfMessages=10, MessageAttributeNames=["Reason"], MessageSystemAttributeNames=["SentTimestamp"],
        VisibilityTimeout=600,
    )  # fmt: skip
    assert len(found) == 3
    assert found[0]["MessageAttributes"] == {"Reason": reason}
    sent = datetime.fromtimestamp(int(found[0]["Attributes"]["SentTimestamp"]) / 1000, UTC)
    assert found[0]["Attributes"].keys() == {"SentTimestamp"}
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60
    assert receive() == []  # they are hidden
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = receive(VisibilityTimeout=0)
    assert again["Body"] == found[0]["Body"]
    for message in (again, *found[1:]):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    sqs.send_message(QueueUrl=queue, MessageBody="late", DelaySeconds=2)
    assert receive() == []
    assert [message["Body"] for message in receive(WaitTimeSeconds=10)] == ["late"]


@tries("sns.Publish", "TopicArn Message MessageStructure MessageAttributes Subject")
@tries("sns.Subscribe", "TopicArn Protocol Endpoint Attributes")
@tries("sns.ListSubscriptionsByTopic", "TopicArn")
def test_notices(connect: Connect, queue: str) -> None:
    sns, sqs = connect("sns"), connect("sqs")
    topic = sns.create_topic(Name=name())["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy(allow)})
    wanted = {"FilterPolicy": json.dumps({"kind": ["execution-failed"]})}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=wanted)
    (listed,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (listed["Protocol"], listed["Endpoint"]) == ("sqs", arn)
    for kind in ("deployed", "execution-failed"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        forms = json.dumps({"default": "for all", "sqs": f"for queues: {kind}"})
        sns.publish(
            TopicArn=topic, Message=forms, MessageStructure="json", MessageAttributes=attributes, Subject="It failed"
        )
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    (envelope,) = [json.loads(message["Body"]) for message in messages]
    assert (envelope["Message"], envelope["Subject"]) == ("for queues: execution-failed", "It failed")
    assert envelope["MessageAttributes"]["kind"]["Value"] == "execution-failed"


@tries("sts.AssumeRole", "RoleArn RoleSessionName")
@tries("sts.GetCallerIdentity", "")
def test_roles(connect: Connect) -> None:
    role = name()
    arn = make_role(connect("iam"), role, ["s3:*"], ["*"])
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    connect("iam").update_assume_role_policy(RoleName=role, PolicyDocument=policy(trust))
    answer = connect("sts").assume_role(RoleArn=arn, RoleSessionName="me")
    assert answer["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/{role}/me")
    with pytest.raises(ClientError):
        connect("sts").assume_role(RoleArn=f"{arn}-of-nobody", RoleSessionName="me")
    assert connect("sts").get_caller_identity()["Account"] == "000000000000"


@tries("cloudwatch.PutMetricData", "Namespace MetricData")
def test_metrics(connect: Connect) -> None:
    metric = name()
    point = {"MetricName": metric, "Value": 2.0, "Dimensions": [{"Name": "Job", "Value": "a"}]}
    connect("cloudwatch").put_metric_data(Namespace="/aws/sagemaker/TrainingJobs", MetricData=[point])
    (found,) = connect("cloudwatch").list_metrics(MetricName=metric)["Metrics"]
    assert (found["Namespace"], found["Dimensions"]) == ("/aws/sagemaker/TrainingJobs", point["Dimensions"])


@tries("logs.CreateLogGroup", "logGroupName")
@tries("logs.CreateLogStream", "logGroupName logStreamName")
@tries("logs.PutLogEvents", "logGroupName logStreamName logEvents")
@tries("logs.FilterLogEvents", "logGroupName logStreamNamePrefix startTime endTime")
@tries("logs.DescribeLogStreams", "logGroupName logStreamNamePrefix")
@tries("logs.GetLogEvents", "logGroupName logStreamName limit startFromHead")
def test_logs(connect: Connect) -> None:
    """What FilterLogEvents has besides is tried in tests/local_cloud/test_logs.py."""
    logs, group, now = connect("logs"), f"/{name()}", int(time.time() * 1000)
    logs.create_log_group(logGroupName=group)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        logs.describe_log_streams(logGroupName=f"{group}-other")
    for stream in ("a/1", "b/1"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": now + number * 1000, "message": f"{stream} {number}"} for number in range(3)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="a/")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["a/1"]

    def messages(answer: dict[str, Any]) -> list[str]:
        return [event["message"] for event in answer["events"]]

    at = {"logGroupName": group, "logStreamName": "b/1"}
    assert messages(logs.get_log_events(**at, limit=2, startFromHead=True)) == ["b/1 0", "b/1 1"]
    assert messages(logs.get_log_events(**at, limit=2, startFromHead=False)) == ["b/1 1", "b/1 2"]
    narrowed = {"logStreamNamePrefix": "a/", "startTime": now + 500, "endTime": now + 1500}
    assert messages(logs.filter_log_events(logGroupName=group, **narrowed)) == ["a/1 1"]
