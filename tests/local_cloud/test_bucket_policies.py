"""A bucket policy that denies something denies it to root and to roles, as on AWS."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud.process import Running

BUCKET = "reserved-for-a-role"  # a name that the other files, which share this local cloud, do not use
Connect = Callable[[str], Any]


@pytest.fixture
def s3(connect: Connect) -> Iterator[Any]:
    """A bucket in which only one role may write under `code/`."""
    client = connect("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="code/source", Body=b"trusted")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "NotAction": ["s3:Get*", "s3:List*"],
        "Resource": f"arn:aws:s3:::{BUCKET}/code/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::000000000000:role/maintainer"]}},
    }
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [statement]}))
    yield client
    client.delete_bucket_policy(Bucket=BUCKET)
    for key in ("code/source", "data/a"):
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def administrator(cloud: Running, connect: Connect) -> Any:
    """A client of S3 for a role that may do everything with it."""
    iam, may = connect("iam"), {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName="administrator", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="administrator", PolicyName="all", PolicyDocument=document(may))
    keys = connect("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], cloud.region)
    return session.client("s3", endpoint_url=cloud.endpoint, verify=str(cloud.certificate))


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


WRITES: dict[str, Callable[[Any], Any]] = {
    "put": lambda s3: s3.put_object(Bucket=BUCKET, Key="code/source", Body=b"changed"),
    "put another": lambda s3: s3.put_object(Bucket=BUCKET, Key="code/other", Body=b"new"),
    "copy": lambda s3: s3.copy_object(Bucket=BUCKET, Key="code/other", CopySource=f"{BUCKET}/code/source"),
    "upload in parts": lambda s3: s3.create_multipart_upload(Bucket=BUCKET, Key="code/source"),
    "delete": lambda s3: s3.delete_object(Bucket=BUCKET, Key="code/source"),
    "delete a version": lambda s3: s3.delete_object(Bucket=BUCKET, Key="code/source", VersionId="null"),
    "tag": lambda s3: s3.put_object_tagging(
        Bucket=BUCKET, Key="code/source", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    ),
    "untag": lambda s3: s3.delete_object_tagging(Bucket=BUCKET, Key="code/source"),
    "access control list": lambda s3: s3.put_object_acl(Bucket=BUCKET, Key="code/source", ACL="private"),
    "restore": lambda s3: s3.restore_object(Bucket=BUCKET, Key="code/source", RestoreRequest={"Days": 1}),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("by", ["root", "administrator"])
def test_no_action_that_writes_gets_through(s3: Any, administrator: Any, write: str, by: str) -> None:
    client = s3 if by == "root" else administrator
    with pytest.raises(ClientError, match="AccessDenied"):
        WRITES[write](client)
    assert client.get_object(Bucket=BUCKET, Key="code/source")["Body"].read() == b"trusted"
    assert client.list_objects_v2(Bucket=BUCKET, Prefix="code/")["KeyCount"] == 1
    assert client.get_object_tagging(Bucket=BUCKET, Key="code/source")["TagSet"] == []


@pytest.mark.parametrize("by", ["root", "administrator"])
def test_one_of_many_deleted_at_once_does_not_get_through(s3: Any, administrator: Any, by: str) -> None:
    """AWS deletes the others and lists this one as an error; here the whole call is denied."""
    client = s3 if by == "root" else administrator
    client.put_object(Bucket=BUCKET, Key="data/a", Body=b"a")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "data/a"}, {"Key": "code/source"}]})
    assert client.get_object(Bucket=BUCKET, Key="code/source")["Body"].read() == b"trusted"


def test_root_is_denied_what_the_policy_denies_to_everybody_but_a_role(s3: Any) -> None:
    for call in (
        lambda: s3.put_object(Bucket=BUCKET, Key="code/source", Body=b"changed"),
        lambda: s3.delete_object(Bucket=BUCKET, Key="code/source"),
        lambda: s3.copy_object(Bucket=BUCKET, Key="code/other", CopySource=f"{BUCKET}/code/source"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    assert s3.get_object(Bucket=BUCKET, Key="code/source")["Body"].read() == b"trusted"
    s3.put_object(Bucket=BUCKET, Key="data/a", Body=b"a")


def test_root_may_undo_a_policy_that_denies_everything(s3: Any) -> None:
    arns = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    everything = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": arns}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [everything]}))
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.list_objects_v2(Bucket=BUCKET)
    assert "Deny" in s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=BUCKET)
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 1
