"""From what happened to a notice: by way of a queue to the function that words it, and from there to people."""

import json
from typing import Any

import pytest
from aws_cdk.assertions import Match


@pytest.mark.parametrize(
    ("detail_type", "detail"),
    [
        (
            "SageMaker Model Building Pipeline Execution Status Change",
            {"currentPipelineExecutionStatus": ["Failed", "Stopped"], "pipelineArn": Match.any_value()},
        ),
        (
            "SageMaker Model Package State Change",
            {"ModelPackageGroupName": ["headrace-prod"], "ModelApprovalStatus": ["PendingManualApproval"]},
        ),
        (
            "SageMaker Endpoint State Change",
            {
                "EndpointName": ["headrace-prod"],
                "EndpointStatus": ["FAILED", "OUT_OF_SERVICE", "UPDATE_ROLLBACK_FAILED"],
            },
        ),
    ],
)
def test_what_people_need_to_know_is_queued(prod: Any, detail_type: str, detail: dict[str, Any]) -> None:
    """EventBridge gives up on a function after a day; a queue's message can be redriven."""
    queue = {"Fn::GetAtt": [prod.logical_id("Notices/Queue/Queue"), "Arn"]}
    prod.template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {"source": ["aws.sagemaker"], "detail-type": [detail_type], "detail": detail},
            "Targets": [{"Arn": queue, "Id": Match.any_value()}],
        },
    )


@pytest.mark.parametrize(
    ("queue", "topic", "lost"),
    [
        ("Uploads", "Notices/Alarms", "Uploads were not taken up."),
        ("Decisions", "Notices/Alarms", "Approved or rejected models were not taken up."),
        # That the function for notices fails cannot be told by it.
        ("Notices/Queue", "Notices/Topic", "Notices were not sent."),
    ],
)
def test_dead_letters_raise_an_alarm_that_says_what_is_lost(prod: Any, queue: str, topic: str, lost: str) -> None:
    name = {"Fn::GetAtt": [prod.logical_id(f"{queue}/DeadLetters"), "QueueName"]}
    alarm = prod.properties(f"{queue}/DeadLettersAlarm")
    assert (alarm["MetricName"], alarm["Namespace"]) == ("ApproximateNumberOfMessagesVisible", "AWS/SQS")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": name}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert alarm["AlarmActions"] == [{"Ref": prod.logical_id(topic)}]
    parts = alarm["AlarmDescription"]["Fn::Join"][1]
    assert parts[0].startswith(lost)
    assert name in parts


def test_alarms_are_worded_by_the_function_too(prod: Any) -> None:
    prod.template.has_resource_properties(
        "AWS::SNS::Subscription",
        {
            "TopicArn": {"Ref": prod.logical_id("Notices/Alarms")},
            "Protocol": "sqs",
            "Endpoint": {"Fn::GetAtt": [prod.logical_id("Notices/Queue/Queue"), "Arn"]},
            "RawMessageDelivery": True,
        },
    )


@pytest.mark.parametrize("topic", ["Notices/Topic", "Notices/Alarms"])
def test_topic_is_encrypted_with_a_key_that_alarms_may_use(prod: Any, topic: str) -> None:
    """AWS's own key for SNS cannot be granted to CloudWatch: its alarms would be lost without a trace."""
    key = {"Fn::GetAtt": [prod.logical_id("Notices/Key"), "Arn"]}
    assert prod.properties(topic)["KmsMasterKeyId"] == key
    statements = prod.properties("Notices/Key")["KeyPolicy"]["Statement"]
    assert {
        "Sid": "AlarmsPublish",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": prod.settings.account}},
    } in statements
    allowed = [
        statement
        for statement in prod.properties(f"{topic}/Policy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert [statement["Principal"] for statement in allowed] == [{"Service": "cloudwatch.amazonaws.com"}]
    assert allowed[0]["Condition"] == {"StringEquals": {"aws:SourceAccount": "222222222222"}}


@pytest.mark.parametrize("function", ["StartPipeline", "DeployModel"])
def test_functions_send_what_they_have_to_tell_to_the_queue(prod: Any, function: str) -> None:
    variables = prod.properties(f"{function}/Function")["Environment"]["Variables"]
    assert variables["NOTICES_QUEUE_URL"] == {"Ref": prod.logical_id("Notices/Queue/Queue")}
    queue = {"Fn::GetAtt": [prod.logical_id("Notices/Queue/Queue"), "Arn"]}
    assert json.dumps(queue) in json.dumps(prod.statements(f"{function}/Role"))
