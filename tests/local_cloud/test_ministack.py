"""What ministack leaves out and the product's promises rest on."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import get_session
from pipeline_runs import acting_as, outcome, policy

from local_cloud.process import Running

Connect = Callable[[str], Any]


def deploy(connect: Connect, name: str, resources: dict[str, Any]) -> None:
    cloudformation = connect("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": resources}))
    assert outcome(connect, name, "CREATE_IN_PROGRESS") == "CREATE_COMPLETE"


def encrypted_bucket(connect: Connect, name: str) -> dict[str, Any]:
    key = connect("kms").create_key()["KeyMetadata"]["Arn"]
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": default}]}
    versioning = {"Status": "Enabled"}
    properties = {"BucketName": name, "BucketEncryption": rules, "VersioningConfiguration": versioning}
    return {"Type": "AWS::S3::Bucket", "Properties": properties}


def test_the_etag_of_a_kms_object_is_not_a_hash_of_its_content(connect: Connect, bucket: str) -> None:
    deploy(connect, "etags", {"Bucket": encrypted_bucket(connect, "etag-bucket")})
    s3 = connect("s3")
    first = s3.put_object(Bucket="etag-bucket", Key="a", Body=b"same")["ETag"]
    second = s3.put_object(Bucket="etag-bucket", Key="a", Body=b"same")["ETag"]
    assert first != second
    assert s3.head_object(Bucket="etag-bucket", Key="a")["ETag"] == second
    plain = [s3.put_object(Bucket=bucket, Key=key, Body=b"same")["ETag"] for key in ("a", "b")]
    assert plain[0] == plain[1]


def test_a_bucket_that_holds_an_old_version_is_not_deleted(connect: Connect) -> None:
    deploy(connect, "full", {"Bucket": encrypted_bucket(connect, "full-bucket")})
    s3 = connect("s3")
    version = s3.put_object(Bucket="full-bucket", Key="a", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket="full-bucket", Key="a")["VersionId"]
    connect("cloudformation").delete_stack(StackName="full")
    assert outcome(connect, "full", "DELETE_IN_PROGRESS") == "DELETE_FAILED"
    for number in (version, marker):
        s3.delete_object(Bucket="full-bucket", Key="a", VersionId=number)
    connect("cloudformation").delete_stack(StackName="full")
    deadline = time.monotonic() + 30
    while "full-bucket" in [item["Name"] for item in s3.list_buckets()["Buckets"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alarm_on(connect: Connect, name: str, topic: str) -> str:
    """A queue with an alarm on its length; returns the queue's URL."""
    url: str = connect("sqs").create_queue(QueueName=name)["QueueUrl"]
    connect("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": name}], Statistic="Maximum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic],
    )  # fmt: skip
    return url


def test_a_message_in_a_queue_raises_that_queues_alarm_and_no_other(connect: Connect) -> None:
    topic = connect("sns").create_topic(Name="alarms")["TopicArn"]
    allow = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*",
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    inbox = connect("sqs").create_queue(QueueName="inbox", Attributes={"Policy": policy})["QueueUrl"]
    arn = connect("sqs").get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    connect("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    full = alarm_on(connect, "full-queue", topic)
    alarm_on(connect, "empty-queue", topic)
    connect("sqs").send_message(QueueUrl=full, MessageBody="lost")
    deadline, states = time.monotonic() + 20, {}
    while states.get("full-queue") != "ALARM":
        assert time.monotonic() < deadline, states
        alarms = connect("cloudwatch").describe_alarms()["MetricAlarms"]
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
        time.sleep(0.2)
    assert states["empty-queue"] != "ALARM"
    (message,) = connect("sqs").receive_message(QueueUrl=inbox, WaitTimeSeconds=5)["Messages"]
    assert "full-queue" in message["Body"]


def test_principal_arn_is_the_roles_and_not_the_sessions(connect: Connect, bucket: str) -> None:
    s3 = connect("s3")
    s3.create_bucket(Bucket="reserved")
    mine = acting_as(connect, "trusted", [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])("s3")
    deny = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::reserved/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::000000000000:role/trusted"}},
    }  # fmt: skip
    s3.put_bucket_policy(Bucket="reserved", Policy=policy(deny))
    assert mine.put_object(Bucket="reserved", Key="a", Body=b"1")["ETag"]


class OneProtocol(Loader):
    """Service models that know one of their protocols only, so that it is spoken."""

    def __init__(self, protocol: str) -> None:
        super().__init__(extra_search_paths=[Loader.BUILTIN_DATA_PATH])
        self._protocol = protocol

    def load_service_model(self, *arguments: Any, **named: Any) -> Any:
        model = super().load_service_model(*arguments, **named)
        if "metadata" not in model:  # rule sets and paginators
            return model
        return model | {"metadata": model["metadata"] | {"protocols": [self._protocol]}}


@pytest.mark.parametrize("protocol", ["json", "query"])
def test_a_namespace_condition_allows_metrics_in_that_namespace_only(connect: Connect, protocol: str) -> None:
    core = get_session()
    core.register_component("data_loader", OneProtocol(protocol))
    session = boto3.Session(botocore_session=core)
    allow = {
        "Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*",
        "Condition": {"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
    }  # fmt: skip
    cloudwatch = acting_as(connect, f"counts-{protocol}", [allow], session)("cloudwatch")
    point = {"MetricName": protocol, "Value": 1.0}
    cloudwatch.put_metric_data(Namespace="/aws/sagemaker/TrainingJobs", MetricData=[point])
    with pytest.raises(ClientError, match=r"not authorized to perform: cloudwatch:PutMetricData"):
        cloudwatch.put_metric_data(Namespace="Elsewhere", MetricData=[point])
    stored = connect("cloudwatch").list_metrics(MetricName=protocol)["Metrics"]
    assert [metric["Namespace"] for metric in stored] == ["/aws/sagemaker/TrainingJobs"]


def test_decisions_are_recorded_while_their_file_is_there(cloud: Running, connect: Connect, bucket: str) -> None:
    resource = f"arn:aws:s3:::{bucket}/recorded"
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}
    s3, file = acting_as(connect, "recorded", [allow])("s3"), cloud.state / "authorizations.jsonl"
    connect("s3").put_object(Bucket=bucket, Key="recorded", Body=b"")
    s3.get_object(Bucket=bucket, Key="recorded")
    assert not file.exists()
    file.touch()
    for _ in range(2):
        s3.get_object(Bucket=bucket, Key="recorded")
        with pytest.raises(ClientError):
            s3.put_object(Bucket=bucket, Key="recorded")
    found = [json.loads(line) for line in file.read_text().splitlines()]
    file.unlink()
    mine = [item for item in found if "/recorded/" in item["principal_arn"]]
    assert [(item["action"], item["resource_arn"], item["decision"]) for item in mine] == [
        ("s3:GetObject", resource, "Allow"),
        ("s3:PutObject", resource, "Deny"),
    ]
