"""The data bucket is private, keeps what must be kept, and lets only maintainers change what is executed."""

from typing import Any

from aws_cdk.assertions import Match


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
    assert statement["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject"]
    arns = [{"Fn::GetAtt": [prod.logical_id(writer), "Arn"]} for writer in writers]
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": arns}}


def test_policy_leaves_the_bucket_itself_to_its_administrators(prod: Any) -> None:
    """Neither deploying nor destroying needs what is denied: no statement denies bucket actions but over plain HTTP."""
    for statement in prod.properties("Data/Bucket/Policy")["PolicyDocument"]["Statement"]:
        if "aws:SecureTransport" not in str(statement):
            assert all("Object" in action for action in statement["Action"])


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
