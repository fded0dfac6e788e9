"""A bucket policy that denies something denies it to root, too, as on AWS."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = "reserved-for-a-role"  # the local cloud is that of the other files, too
Connect = Callable[[str], Any]


@pytest.fixture
def s3(connect: Connect) -> Iterator[Any]:
    """A bucket in which nobody but a role may write under `code/`."""
    client = connect("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="code/source", Body=b"trusted")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/code/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::000000000000:role/maintainer"]}},
    }
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Statement": [statement]}))
    yield client
    client.delete_bucket_policy(Bucket=BUCKET)
    for key in ("code/source", "data/a"):
        client.delete_object(Bucket=BUCKET, Key=key)
    client.delete_bucket(Bucket=BUCKET)


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
