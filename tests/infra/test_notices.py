"""Events go through a queue to the function that words notices, and notices go from there to people."""

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
        # The function for notices cannot report its own failure.
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


def test_alarms_are_also_worded_by_the_function(prod: Any) -> None:
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
def test_topic_is_encrypted_with_a_key_that_alarms_may_use(dev: Any, topic: str) -> None:
    """AWS's own key for SNS cannot be granted to CloudWatch: its alarms would be lost without a trace."""
    assert_may_publish(dev, topic, [("AlarmsPublish", "cloudwatch.amazonaws.com")])


def test_a_budget_reports_a_month_that_is_or_will_be_too_expensive(prod: Any) -> None:
    """Only of this environment's costs: two may share an account."""
    properties = prod.properties("MonthlyBudget/Budget")
    assert properties["Budget"] == {
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": 500, "Unit": "USD"},
        "CostFilters": {"TagKeyValue": ["user:headrace:environment$prod"]},
        "CostTypes": {"IncludeCredit": False, "IncludeRefund": False},  # in a new account, credits pay for all of it
    }
    people = {"SubscriptionType": "SNS", "Address": {"Ref": prod.logical_id("Notices/Topic")}}
    sent = [(item["Notification"], item["Subscribers"]) for item in properties["NotificationsWithSubscribers"]]
    common = {"ComparisonOperator": "GREATER_THAN", "ThresholdType": "PERCENTAGE"}
    assert sent == [
        ({"NotificationType": "FORECASTED", "Threshold": 80} | common, [people]),
        ({"NotificationType": "ACTUAL", "Threshold": 100} | common, [people]),
    ]
    publishers = [("AlarmsPublish", "cloudwatch.amazonaws.com"), ("BudgetsPublish", "budgets.amazonaws.com")]
    assert_may_publish(prod, "Notices/Topic", publishers)
    assert_may_publish(prod, "Notices/Alarms", publishers[:1])


def test_without_a_limit_there_is_no_budget(dev: Any) -> None:
    dev.template.resource_count_is("AWS::Budgets::Budget", 0)


def assert_may_publish(stack: Any, topic: str, publishers: list[tuple[str, str]]) -> None:
    """These services and no others, on behalf of the stack's account, by the topic's policy and by its key's."""
    key = {"Fn::GetAtt": [stack.logical_id("Notices/Key"), "Arn"]}
    assert stack.properties(topic)["KmsMasterKeyId"] == key
    ours = {"StringEquals": {"aws:SourceAccount": stack.settings.account}}
    statements = stack.properties("Notices/Key")["KeyPolicy"]["Statement"]
    for sid, service in publishers:
        assert {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": ours,
        } in statements
    statements = stack.properties(f"{topic}/Policy")["PolicyDocument"]["Statement"]
    (allowed,) = [statement for statement in statements if statement["Effect"] == "Allow"]
    services = allowed["Principal"]["Service"]
    assert sorted(services if isinstance(services, list) else [services]) == sorted(s for _, s in publishers)
    assert allowed["Condition"] == ours


@pytest.mark.parametrize("function", ["StartPipeline", "DeployModel"])
def test_functions_send_their_notices_to_the_queue(prod: Any, function: str) -> None:
    variables = prod.properties(f"{function}/Function")["Environment"]["Variables"]
    assert variables["NOTICES_QUEUE_URL"] == {"Ref": prod.logical_id("Notices/Queue/Queue")}
    queue = {"Fn::GetAtt": [prod.logical_id("Notices/Queue/Queue"), "Arn"]}
    assert json.dumps(queue) in json.dumps(prod.statements(f"{function}/Role"))
