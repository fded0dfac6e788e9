"""The data bucket is private, keeps what must be kept, and lets only maintainers change what is executed."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from aws_cdk.assertions import Match
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from templates import resolved

ACCOUNT = "222222222222"
ROLES = {
    "Maintainer/Role": "maintainer",
    "Source/Deployment/Role": "deployment",
    "StartPipeline/Role": "trigger",
    "StoreModel/Role": "storer",
}
OF_CODE, OF_MODELS = {"maintainer", "deployment", "trigger"}, {"deployment", "storer"}


def on_objects() -> Iterator[str]:
    """Every action of S3 on objects, in small letters, by AWS's service authorization reference as cfn-lint has it."""
    listed = json.loads(files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json").read_text())["s3"]["Actions"]
    yield from (name for name, action in listed.items() if "object" in action.get("Resources", []))


ON_OBJECTS = sorted(on_objects())
WRITES = [name for name in ON_OBJECTS if not name.startswith(("get", "list"))]


def decided(stack: Any, action: str, role: str, key: str) -> str:
    """Allow, Deny, or neither, of the data bucket's policy."""
    text = json.dumps(resolved(stack, stack.properties("Data/Bucket/Policy")["PolicyDocument"]))
    for path, name in ROLES.items():
        text = text.replace(json.dumps(path), json.dumps(f"arn:aws:iam::{ACCOUNT}:role/{name}"))
    context = EvalContext(
        principal_arn=f"arn:aws:iam::{ACCOUNT}:role/{role}",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=f"data-bucket/{key}",
        region="eu-central-1",
        secure_transport=True,
    )
    return str(evaluate_resource_policy(text, context).decision)


def statement_denying(stack: Any, *keys: str) -> dict[str, Any]:
    bucket = {"Fn::GetAtt": [stack.logical_id("Data/Bucket"), "Arn"]}
    wanted = [{"Fn::Join": ["", [bucket, f"/{key}"]]} for key in keys]
    statements = stack.properties("Data/Bucket/Policy")["PolicyDocument"]["Statement"]
    found: list[dict[str, Any]] = [item for item in statements if item["Resource"] == wanted]
    assert len(found) == 1
    assert found[0]["Effect"] == "Deny"
    return found[0]


def test_bucket_is_private_versioned_and_encrypted_with_its_own_key(prod: Any) -> None:
    prod.template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    {
                        "BucketKeyEnabled": True,
                        "ServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": {"Fn::GetAtt": [prod.logical_id("Data/Key"), "Arn"]},
                        },
                    }
                ]
            },
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "VersioningConfiguration": {"Status": "Enabled"},
        },
    )


def test_bucket_refuses_plain_http(prod: Any) -> None:
    prod.template.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Effect": "Deny",
                                "Action": "s3:*",
                                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                            }
                        )
                    ]
                )
            }
        },
    )


def test_only_maintainers_and_the_deployment_write_what_is_executed(prod: Any) -> None:
    """Whatever else a principal may do. The trigger writes why it refused a definition, and may write no definition;

    code it copies to an address made of its content.
    """
    writers = ["Maintainer/Role", "Source/Deployment/Role", "StartPipeline/Role"]
    statement = statement_denying(prod, "code/*", "pipelines/*")
    assert statement["Principal"] == {"AWS": "*"}
    assert statement["NotAction"] == ["s3:Get*", "s3:List*"]
    arns = [{"Fn::GetAtt": [prod.logical_id(writer), "Arn"]} for writer in writers]
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": arns}}


def test_list_of_actions_on_objects_holds_those_that_write_in_other_words() -> None:
    assert {"putobject", "deleteobjectversion", "replicateobject", "replicatedelete", "restoreobject"} <= set(WRITES)
    assert len(WRITES) >= 20
    assert {"getobject", "getobjectversion", "listmultipartuploadparts"} <= set(ON_OBJECTS)


@pytest.mark.parametrize("action", WRITES)
@pytest.mark.parametrize(
    ("key", "writers"),
    [
        ("code/source.tar.gz", OF_CODE),
        ("pipelines/headrace-prod.json", OF_CODE),
        (f"models/{'0' * 64}/model.tar.gz", OF_MODELS),
    ],
)
def test_nothing_that_writes_gets_through_to_what_is_executed(
    prod: Any, action: str, key: str, writers: set[str]
) -> None:
    """Replication, tags and the restoring of another version as well; other keys are for the roles' policies to say."""
    assert decided(prod, f"s3:{action}", "administrator", key) == "Deny"
    assert decided(prod, f"s3:{action}", "administrator", "datasets/birds/1.jpg") != "Deny"
    through = {role for role in ROLES.values() if decided(prod, f"s3:{action}", role, key) != "Deny"}
    assert through == writers


@pytest.mark.parametrize("action", sorted(set(ON_OBJECTS) - set(WRITES)))
def test_what_is_executed_can_be_read(prod: Any, action: str) -> None:
    assert decided(prod, f"s3:{action}", "administrator", "code/source.tar.gz") != "Deny"


def test_policy_leaves_the_bucket_itself_to_its_administrators(prod: Any) -> None:
    """Deploying and destroying need no denied action: bucket actions are denied only over plain HTTP."""
    for statement in prod.properties("Data/Bucket/Policy")["PolicyDocument"]["Statement"]:
        if "aws:SecureTransport" not in str(statement):
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            assert all("/" in resource for resource in map(json.dumps, resources))


def test_changes_of_uploads_and_definition_go_to_the_queue(prod: Any) -> None:
    queue = {"Fn::GetAtt": [prod.logical_id("Uploads/Queue"), "Arn"]}
    configuration = prod.properties("Data/Bucket")["NotificationConfiguration"]
    assert set(configuration) == {"QueueConfigurations"}
    sent = {
        (item["Event"], item["Filter"]["S3Key"]["Rules"][0]["Value"])
        for item in configuration["QueueConfigurations"]
        if item["Queue"] == queue
    }
    events = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    assert sent == {(event, prefix) for event in events for prefix in ("datasets/", "pipelines/", "code/source.tar.gz")}


def test_queue_lets_s3_in_before_the_bucket_is_made(prod: Any) -> None:
    """S3 tries the queue when the notification is configured."""
    assert prod.logical_id("Uploads/Queue/Policy") in prod.resources["Data/Bucket"]["DependsOn"]


def test_queue_takes_notifications_of_buckets_of_ours_alone(prod: Any) -> None:
    """The policy cannot name this bucket, which does not exist yet; its generated name begins with the stack's name."""
    policy = prod.properties("Uploads/Queue/Policy")["PolicyDocument"]
    (statement,) = [it for it in policy["Statement"] if it["Principal"] == {"Service": "s3.amazonaws.com"}]
    condition = resolved(prod, statement["Condition"])
    assert condition["StringEquals"] == {"aws:SourceAccount": "AWS::AccountId"}
    assert condition["ArnLike"] == {"aws:SourceArn": "arn:AWS::Partition:s3:::headrace-*"}
    assert "BucketName" not in prod.properties("Data/Bucket")
    assert prod.settings.name.startswith("headrace-")


def test_nothing_that_a_model_or_a_cached_step_points_to_expires(prod: Any) -> None:
    rules = prod.properties("Data/Bucket")["LifecycleConfiguration"]["Rules"]
    expiring = {rule.get("Prefix", "") for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"checkpoints/", "notices/", "quiet/"}
    assert any("NoncurrentVersionExpiration" in rule and "Prefix" not in rule for rule in rules)


def test_data_and_its_protection_stay_or_go_together(local: Any, prod: Any) -> None:
    for path in ("Data/Bucket", "Data/Key", "Data/Bucket/Policy", "Registry/Group"):
        assert local.resources[path].get("DeletionPolicy", "Delete") == "Delete"
        kept = "RetainExceptOnCreate" if path == "Registry/Group" else "Retain"
        assert prod.resources[path]["DeletionPolicy"] == kept


def test_key_is_rotated(prod: Any) -> None:
    for path in ("Data/Key", "Notices/Key"):
        assert prod.properties(path)["EnableKeyRotation"] is True
