"""Promotion between accounts: what the source grants, to whom exactly, and what the consumer takes.

The local cloud enforces the registry's, the bucket's and the bus's policies (tests/prove/test_promotion.py). What
KMS decides is asserted here: a statement in the key's policy and one in the role's are needed.
https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
"""

import json
from pathlib import Path
from typing import Any

import pytest
from promoting_project import promoting_project, with_example
from suite import PROJECT

from environments.promotion import announcement_rule
from environments.settings import load_settings
from environments.typed_table import SettingsError
from infra.stacks.choose import REFUSAL

SOURCE, CONSUMER = "111111111111", "333333333333"
REGION = "eu-central-1"
IN_CONSUMER = {"AWS": f"arn:aws:iam::{CONSUMER}:root"}
ENDPOINT_ROLE = f"arn:aws:iam::{CONSUMER}:role/headrace-live-endpoint"
DEPLOYER_ROLE = f"arn:aws:iam::{CONSUMER}:role/headrace-live-deploy-model"
GROUP = f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package-group/headrace-dev"
VERSIONS = f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package/headrace-dev/*"
BUS = f"arn:aws:events:{REGION}:{CONSUMER}:event-bus/headrace-live"
RULE = f"arn:aws:events:{REGION}:{SOURCE}:rule/headrace-dev-to-headrace-live"
DECISION = {
    "source": ["aws.sagemaker"],
    "account": [SOURCE],
    "detail-type": ["SageMaker Model Package State Change"],
    "detail": {"ModelPackageGroupName": ["headrace-dev"], "ModelApprovalStatus": ["Approved", "Rejected"]},
}


def of_the_consumer(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [statement for statement in statements if CONSUMER in json.dumps(statement)]


def granted(stack: Any, role: str, action: str) -> list[dict[str, Any]]:
    return [statement for statement in stack.statements(role) if action in json.dumps(statement["Action"])]


def test_neither_kind_of_stack_can_be_updated_into_the_other(source: Any, serving: Any) -> None:
    """A resource that keeps its name and changes its type is refused: tests/local_cloud/test_stack_types.py."""
    trains, serves = source.resources[REFUSAL], serving.resources[REFUSAL]
    assert source.logical_id(REFUSAL) == serving.logical_id(REFUSAL) == REFUSAL
    assert (trains["Type"], serves["Type"]) == ("AWS::CloudFormation::WaitConditionHandle", "AWS::SSM::Parameter")


def test_group_is_read_by_the_account_and_served_by_its_deployer_alone(source: Any) -> None:
    assert source.properties("Registry/Group")["ModelPackageGroupPolicy"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": IN_CONSUMER,
            "Action": [
                "sagemaker:DescribeModelPackage",
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:ListModelPackages",
            ],
            "Resource": [GROUP, VERSIONS],
        },
        {
            "Effect": "Allow",
            "Principal": IN_CONSUMER,
            "Action": "sagemaker:CreateModel",
            "Resource": VERSIONS,
            "Condition": {"StringEquals": {"aws:PrincipalArn": DEPLOYER_ROLE}},
        },
    ]


def test_artifacts_of_registered_versions_are_read_by_endpoint_and_deployer_and_nothing_else_is(source: Any) -> None:
    (statement,) = of_the_consumer(source.properties("Data/Bucket/Policy")["PolicyDocument"]["Statement"])
    bucket = {"Fn::GetAtt": [source.logical_id("Data/Bucket"), "Arn"]}
    assert statement == {
        "Effect": "Allow",
        "Principal": IN_CONSUMER,
        "Action": "s3:GetObject",
        "Resource": {"Fn::Join": ["", [bucket, "/models/*"]]},
        "Condition": {"StringEquals": {"aws:PrincipalArn": [ENDPOINT_ROLE, DEPLOYER_ROLE]}},
    }


def test_key_decrypts_for_these_two_and_through_s3_alone(source: Any) -> None:
    (statement,) = of_the_consumer(source.properties("Data/Key")["KeyPolicy"]["Statement"])
    assert statement == {
        "Effect": "Allow",
        "Principal": IN_CONSUMER,
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "aws:PrincipalArn": [ENDPOINT_ROLE, DEPLOYER_ROLE],
                "kms:ViaService": f"s3.{REGION}.amazonaws.com",
            }
        },
    }


def test_nothing_else_of_the_source_names_the_consumer(source: Any) -> None:
    naming = {path for path, item in source.resources.items() if CONSUMER in json.dumps(item)}
    assert naming == {
        "Registry/Group",
        "Data/Bucket/Policy",
        "Data/Key",
        "To-headrace-live/Role/DefaultPolicy",
        "To-headrace-live/Decided",
        "To-headrace-live/NotDelivered",
    }


def test_decisions_go_to_the_bus_of_the_consumer(source: Any) -> None:
    rule = source.properties("To-headrace-live/Decided")
    assert (rule["Name"], rule["EventPattern"]) == (RULE.rpartition("/")[2], DECISION)
    (target,) = rule["Targets"]
    assert target["Arn"] == BUS
    assert target["RoleArn"] == {"Fn::GetAtt": [source.logical_id("To-headrace-live/Role"), "Arn"]}
    assert [{**statement} for statement in source.statements("To-headrace-live/Role")] == [
        {"Effect": "Allow", "Action": "events:PutEvents", "Resource": BUS}
    ]
    (trust,) = source.properties("To-headrace-live/Role")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": SOURCE},
        "ArnEquals": {"aws:SourceArn": RULE},
    }


def test_a_decision_that_does_not_arrive_is_reported_where_it_was_made(source: Any) -> None:
    alarm = source.properties("To-headrace-live/NotDelivered")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Events", "FailedInvocations")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": RULE.rpartition("/")[2]}]
    assert alarm["AlarmActions"] == [{"Ref": source.logical_id("Notices/Alarms")}]


def test_bus_takes_events_of_the_rule_of_the_source_alone(serving: Any) -> None:
    assert serving.properties("Source/Decisions")["Name"] == "headrace-live"
    policy = serving.properties("Source/DecisionsPolicy")
    assert policy["EventBusName"] == {"Ref": serving.logical_id("Source/Decisions")}
    assert policy["Statement"] == {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{SOURCE}:root"},
        "Action": "events:PutEvents",
        "Resource": {"Fn::GetAtt": [serving.logical_id("Source/Decisions"), "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": RULE}},
    }


def test_decisions_on_the_bus_reach_the_deployer(serving: Any) -> None:
    rule = serving.properties("DeployModel/ModelDecided")
    assert rule["EventBusName"] == {"Ref": serving.logical_id("Source/Decisions")}
    assert rule["EventPattern"] == DECISION
    assert [target["Arn"] for target in rule["Targets"]] == [
        {"Fn::GetAtt": [serving.logical_id("Decisions/Queue"), "Arn"]}
    ]


def test_roles_have_the_names_that_the_source_grants_to(serving: Any) -> None:
    named = {path: item["Properties"].get("RoleName") for path, item in serving.resources.items() if "Role" in path}
    assert {path: name for path, name in named.items() if name} == {
        "EndpointRole/Role": ENDPOINT_ROLE.rpartition("/")[2],
        "DeployModel/Role": DEPLOYER_ROLE.rpartition("/")[2],
    }


def test_endpoint_reads_nothing_but_what_the_source_lets_it(serving: Any) -> None:
    """Bucket and key have no names that could be known here; whose they are is, and their own policies say the rest."""
    (objects,) = granted(serving, "EndpointRole/Role", "s3:")
    assert objects["Action"] == "s3:GetObject"
    assert objects["Condition"] == {"StringEquals": {"aws:ResourceAccount": SOURCE}}
    (key,) = granted(serving, "EndpointRole/Role", "kms:")
    assert key["Action"] == "kms:Decrypt"
    assert key["Resource"] == f"arn:aws:kms:{REGION}:{SOURCE}:key/*"
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    (images,) = granted(serving, "EndpointRole/Role", "ecr:BatchGetImage")
    assert images["Resource"] == f"arn:aws:ecr:{REGION}:763104351884:repository/pytorch-inference"


def test_deployer_and_notifier_reach_versions_of_the_one_group(serving: Any) -> None:
    (versions,) = [item for item in serving.statements("DeployModel/Role") if item["Resource"] == VERSIONS]
    assert versions["Action"] == [
        "sagemaker:CreateModel",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackages",
    ]
    (versions,) = [item for item in serving.statements("Notify/Role") if item["Resource"] == VERSIONS]
    assert versions["Action"] == ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]


def test_an_environment_that_promotes_only_serves(serving: Any) -> None:
    functions = {path for path, item in serving.resources.items() if item["Type"] == "AWS::Lambda::Function"}
    assert functions == {"DeployModel/Function", "Notify/Function", "Cleanup/Deployment/Function"}
    queues = {path for path, item in serving.resources.items() if item["Type"] == "AWS::SQS::Queue"}
    assert queues == {
        f"{queue}/{part}" for queue in ("Decisions", "Notices/Queue") for part in ("Queue", "DeadLetters")
    }
    kinds = {item["Type"] for item in serving.resources.values()}
    assert "AWS::SageMaker::ModelPackageGroup" not in kinds
    assert set(serving.content["Outputs"]) == {
        "DecisionDeadLetterQueueUrl",
        "DecisionQueueUrl",
        "DeployModelFunctionName",
        "EndpointName",
        "ModelPackageGroupName",
        "NoticeBucketName",
        "NoticeDeadLetterQueueUrl",
        "NoticeQueueUrl",
        "NoticeTopicArn",
        "PromotesFrom",
    }


def test_what_serving_made_is_deleted_while_its_roles_are_there(serving: Any) -> None:
    cleanup = serving.properties("Cleanup/Resource")
    assert (cleanup["PipelineName"], cleanup["ModelPackageGroupName"]) == ("", "")
    assert (cleanup["EndpointName"], cleanup["Retain"]) == ("headrace-live", "false")
    needed = serving.resources["Cleanup/Resource"]["DependsOn"]
    for path in ("EndpointRole/Role", "DeployModel/Function", "Told/Bucket", "Source/Decisions"):
        assert serving.logical_id(path) in needed
    for feed in ("Decisions/Feed", "Notices/Queue/Feed"):
        assert serving.logical_id("Cleanup/Resource") in serving.resources[feed]["DependsOn"]


def test_people_are_sent_to_the_source_for_decisions(serving: Any, source: Any) -> None:
    variables = serving.properties("Notify/Function")["Environment"]["Variables"]
    assert (variables["COMMAND"], variables["REGISTRY_COMMAND"]) == ("headrace --env live", "headrace --env dev")
    assert source.properties("Notify/Function")["Environment"]["Variables"]["REGISTRY_COMMAND"] == "headrace --env dev"


def test_names_across_accounts_fit_at_their_longest() -> None:
    """A rule's name and a role's may have 64 characters; an environment's has at most 20."""
    longest = "headrace-" + 20 * "x"
    assert len(announcement_rule(longest, longest)) <= 64
    assert len(f"{longest}-deploy-model") <= 64


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('promotes_from = "dev"', 'promotes_from = "deb"', "[live]: promotes_from is 'deb', which is no"),
        ('promotes_from = "dev"', 'promotes_from = "projects"', "which is not an environment here"),
        ('promotes_from = "dev"', 'promotes_from = "live"', "promotes_from is its own name"),
        ('promotes_from = "dev"', "promotes_from = 1", "promotes_from is 1"),
        (
            'promotes_from = "dev"',
            'promotes_from = "next"\n[next]\naccount = "444444444444"\nregion = "eu-central-1"\npromotes_from = "dev"',
            "promotes_from is 'next', which only serves what another environment approves",
        ),
        ('promotes_from = "dev"', 'promotes_from = "dev"\nquiet_seconds = 60', "quiet_seconds would have no effect"),
        ('promotes_from = "dev"', 'promotes_from = "dev"\npipeline = {epochs = 3}', "pipeline would have no effect"),
        ('account = "333333333333"', 'account = "111111111111"', "its account is that of [dev]"),
        ('promotes_from = "dev"', 'promotes_from = "local"', "[local], which it promotes from, is in 'us-"),
        ('promotes_from = "dev"', 'promotes_from = "dev"\nconsumers = []', "consumers is set"),
        (
            'promotes_from = "dev"',
            'promotes_from = "dev"\nendpoint_instance_type = "ml.g5.xlarge"',
            "for which no model is registered",
        ),
    ],
)  # fmt: skip
def test_a_promotion_that_cannot_be_is_one_clear_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = promoting_project(tmp_path)
    before, marker, example = file.read_text().partition("[live]")
    assert old in example
    file.write_text(before + marker + example.replace(old, new, 1))
    with pytest.raises(SettingsError) as raised:
        load_settings(file, "live")
    assert said in str(raised.value)
    assert "\nhint: " in str(raised.value)


def test_a_source_cannot_have_a_custom_key(tmp_path: Path) -> None:
    """The stack cannot write the policy of another's key, which the consumer's endpoint needs."""
    file = promoting_project(tmp_path)
    key = f"arn:aws:kms:{REGION}:{SOURCE}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    file.write_text(file.read_text().replace("[dev]\n", f'[dev]\ndata_key = "{key}"\n'))
    with pytest.raises(SettingsError, match="data_key is set, and another environment promotes from this one"):
        load_settings(file, "dev")


def test_a_consumer_without_an_account_is_reported_to_its_source(tmp_path: Path) -> None:
    """The source grants the account its models, so it has to know it."""
    file = promoting_project(tmp_path)
    file.write_text(file.read_text().replace('"333333333333"', '"3333"'))
    with pytest.raises(SettingsError, match=r"\[live\]: account is '3333'"):
        load_settings(file, "dev")


def test_the_example_is_a_comment(tmp_path: Path) -> None:
    """Until the user uncomments it, nothing is granted."""
    text = (PROJECT / "environments.toml").read_text()
    assert with_example(text) != text
    assert load_settings(promoting_project(tmp_path).with_name("environments.toml"), "dev").consumers
    (tmp_path / "environments.toml").write_text(text)
    assert not load_settings(tmp_path / "environments.toml", "dev").consumers
