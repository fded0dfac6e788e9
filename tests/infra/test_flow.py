"""From an upload to an execution, and from an approval to an endpoint."""

import json
from typing import Any

import pytest
from aws_cdk.assertions import Match

from pipeline_definition import BINDING_NAMES

FUNCTIONS = {
    "StartPipeline": "start_pipeline.handler.handle",
    "FindChampion": "find_champion.handler.handle",
    "StoreModel": "store_model.handler.handle",
    "DeployModel": "deploy_model.handler.handle",
    "Notify": "notify.handler.handle",
    "Source/Deployment": "custom_resource.handler.handle",
}


@pytest.mark.parametrize(("path", "handler"), FUNCTIONS.items())
def test_function_is_python_with_a_log_that_ends(prod: Any, path: str, handler: str) -> None:
    properties = prod.properties(f"{path}/Function")
    assert properties["Handler"] == handler
    assert properties["Runtime"] == "python3.14"
    assert properties["MemorySize"] == 1024
    assert properties["LoggingConfig"] == {"LogGroup": {"Ref": prod.logical_id(f"{path}/Log")}}
    assert prod.properties(f"{path}/Log")["RetentionInDays"] == 365


def test_there_is_no_function_but_ours(prod: Any) -> None:
    """CDK adds functions in Node for conveniences that are not used here."""
    found = {path for path, item in prod.resources.items() if item["Type"] == "AWS::Lambda::Function"}
    assert found == {f"{path}/Function" for path in FUNCTIONS}


@pytest.mark.parametrize(
    ("queue", "function"), [("Uploads", "StartPipeline"), ("Decisions", "DeployModel"), ("Notices/Queue", "Notify")]
)
def test_queue_feeds_its_function(prod: Any, queue: str, function: str) -> None:
    """Six times the function's timeout, at least five receives, failures message by message: as AWS advises."""
    properties = prod.properties(f"{queue}/Queue")
    assert properties["VisibilityTimeout"] == 6 * prod.properties(f"{function}/Function")["Timeout"]
    assert properties["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [prod.logical_id(f"{queue}/DeadLetters"), "Arn"]},
        "maxReceiveCount": 5,
    }
    feed = {name: value for name, value in prod.properties(f"{queue}/Feed").items() if name != "Tags"}
    assert feed == {
        "BatchSize": 10,
        "EventSourceArn": {"Fn::GetAtt": [prod.logical_id(f"{queue}/Queue"), "Arn"]},
        "FunctionName": {"Ref": prod.logical_id(f"{function}/Function")},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},  # three queues share the 10 executions of a new account
    }


def test_trigger_has_its_environment_in_variables(prod: Any) -> None:
    variables = prod.properties("StartPipeline/Function")["Environment"]["Variables"]
    assert variables["PIPELINE_NAME"] == "headrace-prod"
    assert variables["QUIET_SECONDS"] == "300"
    assert variables["QUEUE_URL"] == {"Ref": prod.logical_id("Uploads/Queue")}
    assert json.loads(variables["PIPELINE_TAGS"])["headrace:environment"] == "prod"


def test_trigger_binds_every_name_that_a_definition_may_ask_for(prod: Any) -> None:
    parts = prod.properties("StartPipeline/Function")["Environment"]["Variables"]["BINDINGS"]["Fn::Join"][1]
    bindings = json.loads("".join(part if isinstance(part, str) else "<reference>" for part in parts))
    assert set(bindings) == BINDING_NAMES
    assert bindings["TrainingImage"].startswith("763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch:")
    assert bindings["InferenceImage"].startswith("763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-inference:")
    assert bindings["CodeUri"] == f"s3://<reference>/code/{bindings['CodeHash']}/source.tar.gz"


def test_decisions_on_models_of_our_group_reach_the_deployer(prod: Any) -> None:
    """Through a queue: EventBridge stops retrying a function after a day, and a queue's messages can be redriven."""
    prod.template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.sagemaker"],
                "account": ["222222222222"],
                "detail-type": ["SageMaker Model Package State Change"],
                "detail": {
                    "ModelPackageGroupName": ["headrace-prod"],
                    "ModelApprovalStatus": ["Approved", "Rejected"],
                },
            },
            "Targets": [Match.object_like({"Arn": {"Fn::GetAtt": [prod.logical_id("Decisions/Queue"), "Arn"]}})],
        },
    )


def test_the_endpoint_is_compared_with_the_registry_every_hour(prod: Any) -> None:
    """By a message to the decision queue: nothing else learns that an endpoint was deleted or moved by hand."""
    prod.template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "ScheduleExpression": "rate(1 hour)",
            "State": "ENABLED",
            "Targets": [
                Match.object_like(
                    {
                        "Arn": {"Fn::GetAtt": [prod.logical_id("Decisions/Queue"), "Arn"]},
                        "Input": '{"headrace":"periodic-look"}',
                    }
                )
            ],
        },
    )


def test_everything_made_in_the_environment_carries_its_tags(prod: Any) -> None:
    expected = {
        "headrace:project": "headrace",
        "headrace:environment": "prod",
        "CostCenter": "machine-learning",
        "Owner": "ml-team",
    }
    for path in (
        "Data/Bucket",
        "Data/Key",
        "Uploads/Queue",
        "StartPipeline/Function",
        "JobRole/Role",
        "Registry/Group",
    ):
        assert {item["Key"]: item["Value"] for item in prod.properties(path)["Tags"]} == expected
    assert json.loads(prod.properties("DeployModel/Function")["Environment"]["Variables"]["TAGS"]) == expected


def test_work_ends_before_the_environment_is_cleared(local: Any) -> None:
    """Deleted first is what depends on others: the feeds, then the resource that clears, then roles and bucket."""
    resource = local.logical_id("Source/Resource")
    for feed in ("Uploads/Feed", "Decisions/Feed", "Notices/Queue/Feed"):
        assert resource in local.resources[feed]["DependsOn"]
    needed = local.resources["Source/Resource"]["DependsOn"]
    for function in ("StartPipeline/Function", "DeployModel/Function"):  # as they are after an update, not before it
        assert local.logical_id(function) in needed
    for path in ("Data/Bucket", "Data/Bucket/Policy", "Registry/Group", "PipelineRole/Role/DefaultPolicy"):
        assert local.logical_id(path) in needed


def test_published_source_is_code_and_definition_at_their_addresses(local: Any, prod: Any) -> None:
    properties = prod.properties("Source/Resource")
    by_content, code, definition = properties["Copies"]
    assert by_content["ToKey"].startswith("code/")
    assert by_content["ToKey"].endswith("/source.tar.gz")
    assert code == by_content | {"ToKey": "code/source.tar.gz"}
    assert definition["ToKey"] == "pipelines/headrace-prod.json"
    assert list(properties["Objects"]) == ["champions/none/NONE"]
    assert (prod.properties("Source/Resource")["Retain"], local.properties("Source/Resource")["Retain"]) == (
        "true",
        "false",
    )


def test_outputs_are_what_the_command_line_reads(prod: Any) -> None:
    assert set(prod.content["Outputs"]) == {
        "DataBucketName",
        "DecisionDeadLetterQueueUrl",
        "DecisionQueueUrl",
        "DeployModelFunctionName",
        "EndpointName",
        "MaintainerRoleArn",
        "ApproverRoleArn",
        "ModelPackageGroupName",
        "NoticeDeadLetterQueueUrl",
        "NoticeQueueUrl",
        "NoticeTopicArn",
        "PipelineName",
        "StartPipelineFunctionName",
        "UploadDeadLetterQueueUrl",
        "UploadQueueUrl",
    }
