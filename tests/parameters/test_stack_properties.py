"""Properties that our templates give to resources, which ministack's CloudFormation might leave out: they are there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

Connect = Callable[[str], Any]


def deploy(connect: Connect, **resources: Any) -> dict[str, str]:
    """Physical ids by logical ones."""
    client, stack = connect("cloudformation"), f"tried-{secrets.token_hex(5)}"
    client.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": resources}))
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = client.describe_stack_resources(StackName=stack)["StackResources"]
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}


def test_a_buckets_rules_are_kept(connect: Connect) -> None:
    """Lifecycle, ownership and public access: what a person or a tool that asks for them sees is what was deployed."""
    rule = {"Id": "old", "Status": "Enabled", "Prefix": "runs/", "ExpirationInDays": 30,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
            "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionInDays": 20}],
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}  # fmt: skip
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    blocked = dict.fromkeys(names, True)
    properties = {
        "LifecycleConfiguration": {"Rules": [rule]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": blocked,
    }
    bucket = deploy(connect, Data={"Type": "AWS::S3::Bucket", "Properties": properties})["Data"]
    s3 = connect("s3")
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == blocked
    owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (found,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (found["ID"], found["Status"], found["Expiration"]) == ("old", "Enabled", {"Days": 30})
    assert found["Filter"] == {"Prefix": "runs/"}
    assert found["Transitions"] == [{"Days": 20, "StorageClass": "INTELLIGENT_TIERING"}]
    assert found["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    assert found["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}


def test_queues_and_topics_have_their_properties(connect: Connect) -> None:
    key = connect("kms").create_key()["KeyMetadata"]["Arn"]
    queue = {"VisibilityTimeout": 77, "MessageRetentionPeriod": 1209600}
    topic = {"KmsMasterKeyId": key, "DisplayName": "notices"}
    ids = deploy(
        connect, Queue={"Type": "AWS::SQS::Queue", "Properties": queue},
        Topic={"Type": "AWS::SNS::Topic", "Properties": topic},
    )  # fmt: skip
    attributes = connect("sqs").get_queue_attributes(QueueUrl=ids["Queue"], AttributeNames=["All"])["Attributes"]
    assert (attributes["VisibilityTimeout"], attributes["MessageRetentionPeriod"]) == ("77", "1209600")
    attributes = connect("sns").get_topic_attributes(TopicArn=ids["Topic"])["Attributes"]
    assert (attributes.get("KmsMasterKeyId"), attributes["DisplayName"]) == (key, "notices")
