"""S3: each parameter that our code or the AWS CLI's `s3` commands pass has its effect."""

from __future__ import annotations

import base64
import hashlib
import secrets
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tried import tries

Connect = Callable[[str], Any]
MISMATCH = "PreconditionFailed|412"


@pytest.fixture
def s3(connect: Connect) -> Any:
    return connect("s3")


@pytest.fixture
def versioned(s3: Any) -> str:
    name = f"tried-{secrets.token_hex(5)}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def crc32(content: bytes) -> str:
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


@tries(
    "s3.PutObject", "Bucket Key Body ContentType ChecksumAlgorithm Tagging Metadata ServerSideEncryption SSEKMSKeyId"
)
@tries("s3.HeadObject", "Bucket Key ChecksumMode")
def test_what_an_object_is_put_with_is_there(connect: Connect, s3: Any, versioned: str) -> None:
    key = connect("kms").create_key()["KeyMetadata"]["Arn"]
    s3.put_object(
        Bucket=versioned, Key="a", Body=b"1234", ContentType="image/jpeg", ChecksumAlgorithm="SHA256",
        Tagging="kind=model&x=1", Metadata={"sha256": "abc"}, ServerSideEncryption="aws:kms", SSEKMSKeyId=key,
    )  # fmt: skip
    plain = s3.head_object(Bucket=versioned, Key="a")
    assert (plain["ContentLength"], plain["ContentType"], plain["SSEKMSKeyId"]) == (4, "image/jpeg", key)
    assert plain["Metadata"] == {"sha256": "abc"}
    assert "ChecksumSHA256" not in plain
    head = s3.head_object(Bucket=versioned, Key="a", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"1234").digest()).decode()
    tags = s3.get_object_tagging(Bucket=versioned, Key="a")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"kind": "model", "x": "1"}


@tries("s3.HeadObject", "ExpectedBucketOwner")
def test_the_expected_owner_of_a_bucket(s3: Any, versioned: str) -> None:
    owner, other = {"ExpectedBucketOwner": "000000000000"}, {"ExpectedBucketOwner": "111111111111"}
    s3.put_object(Bucket=versioned, Key="a", Body=b"1", **owner)
    assert s3.head_object(Bucket=versioned, Key="a", **owner)["ContentLength"] == 1
    source = {"Bucket": versioned, "Key": "a"}
    calls: list[Callable[[], object]] = [
        lambda: s3.head_object(Bucket=versioned, Key="a", **other),
        lambda: s3.get_object(Bucket=versioned, Key="a", **other),
        lambda: s3.put_object(Bucket=versioned, Key="a", Body=b"2", **other),
        lambda: s3.delete_object(Bucket=versioned, Key="a", **other),
        lambda: s3.list_objects_v2(Bucket=versioned, **other),
        lambda: s3.copy_object(Bucket=versioned, Key="b", CopySource=source, ExpectedSourceBucketOwner="111111111111"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refusal:
            call()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert s3.get_object(Bucket=versioned, Key="a", **owner)["Body"].read() == b"1"


@tries("s3.PutObject", "ChecksumCRC32")
def test_a_checksum_that_the_sender_has_computed(s3: Any, versioned: str) -> None:
    s3.put_object(Bucket=versioned, Key="a", Body=b"1234", ChecksumCRC32=crc32(b"1234"))
    assert s3.head_object(Bucket=versioned, Key="a", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(b"1234")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=versioned, Key="a", Body=b"1235", ChecksumCRC32=crc32(b"1234"))


@tries("s3.PutObject", "IfMatch IfNoneMatch")
@tries("s3.GetObject", "Bucket Key IfMatch")
@tries("s3.HeadObject", "IfMatch")
def test_conditions(s3: Any, versioned: str) -> None:
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError, match=MISMATCH):
        s3.put_object(Bucket=versioned, Key="a", Body=b"2", IfNoneMatch="*")
    second = s3.put_object(Bucket=versioned, Key="a", Body=b"2", IfMatch=first)["ETag"]
    with pytest.raises(ClientError, match=MISMATCH):
        s3.put_object(Bucket=versioned, Key="a", Body=b"3", IfMatch=first)
    assert s3.get_object(Bucket=versioned, Key="a", IfMatch=second)["Body"].read() == b"2"
    with pytest.raises(ClientError, match=MISMATCH):
        s3.get_object(Bucket=versioned, Key="a", IfMatch=first)
    assert s3.head_object(Bucket=versioned, Key="a", IfMatch=second)["ETag"] == second
    with pytest.raises(ClientError, match=MISMATCH):
        s3.head_object(Bucket=versioned, Key="a", IfMatch=first)


@tries("s3.GetObject", "VersionId Range ChecksumMode")
@tries("s3.DeleteObject", "Bucket Key VersionId")
@tries("s3.DeleteObjects", "Bucket Delete")
@tries("s3.ListObjectVersions", "Bucket MaxKeys")
def test_versions(s3: Any, versioned: str) -> None:
    ids = [s3.put_object(Bucket=versioned, Key="a", Body=text)["VersionId"] for text in (b"first", b"second")]
    assert s3.get_object(Bucket=versioned, Key="a", VersionId=ids[0])["Body"].read() == b"first"
    assert s3.get_object(Bucket=versioned, Key="a", Range="bytes=1-3")["Body"].read() == b"eco"
    assert s3.get_object(Bucket=versioned, Key="a", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(b"second")
    one = s3.list_object_versions(Bucket=versioned, MaxKeys=1)
    assert (len(one["Versions"]), one["IsTruncated"]) == (1, True)
    assert len(s3.list_object_versions(Bucket=versioned)["Versions"]) == 2
    marker = s3.delete_object(Bucket=versioned, Key="a")
    assert marker["DeleteMarker"]
    s3.delete_object(Bucket=versioned, Key="a", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=versioned, Key="a")["Body"].read() == b"second"
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "a", "VersionId": ids[1]}], "Quiet": True})
    assert "Deleted" not in answer
    assert s3.get_object(Bucket=versioned, Key="a")["Body"].read() == b"first"
    assert [item["Key"] for item in s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "a"}]})["Deleted"]]


@tries("s3.ListObjectsV2", "Bucket Prefix Delimiter MaxKeys ContinuationToken StartAfter")
def test_lists(s3: Any, versioned: str) -> None:
    for key in ("a/1", "a/2", "b/1", "c"):
        s3.put_object(Bucket=versioned, Key=key, Body=b"")

    def keys(**parameters: Any) -> list[str]:
        return [item["Key"] for item in s3.list_objects_v2(Bucket=versioned, **parameters).get("Contents", [])]

    assert keys() == ["a/1", "a/2", "b/1", "c"]
    assert keys(Prefix="a/") == ["a/1", "a/2"]
    assert keys(StartAfter="a/2") == ["b/1", "c"]
    split = s3.list_objects_v2(Bucket=versioned, Delimiter="/")
    assert [item["Prefix"] for item in split["CommonPrefixes"]] == ["a/", "b/"]
    assert [item["Key"] for item in split["Contents"]] == ["c"]
    page = s3.list_objects_v2(Bucket=versioned, MaxKeys=3)
    assert (page["KeyCount"], page["IsTruncated"]) == (3, True)
    assert keys(ContinuationToken=page["NextContinuationToken"]) == ["c"]


@tries("s3.CopyObject", "Bucket Key CopySource ChecksumAlgorithm MetadataDirective")
def test_copies(s3: Any, versioned: str) -> None:
    s3.put_object(Bucket=versioned, Key="a", Body=b"1", ContentType="image/png", Metadata={"x": "old"})
    s3.copy_object(Bucket=versioned, Key="b", CopySource={"Bucket": versioned, "Key": "a"})
    assert s3.head_object(Bucket=versioned, Key="b")["Metadata"] == {"x": "old"}
    s3.copy_object(
        Bucket=versioned, Key="a", CopySource={"Bucket": versioned, "Key": "a"}, ChecksumAlgorithm="SHA1",
        MetadataDirective="REPLACE", Metadata={"x": "new"},
    )  # fmt: skip
    head = s3.head_object(Bucket=versioned, Key="a", ChecksumMode="ENABLED")
    assert head["Metadata"] == {"x": "new"}
    assert head["ChecksumSHA1"] == base64.b64encode(hashlib.sha1(b"1").digest()).decode()


@tries("s3.CreateMultipartUpload", "Bucket Key ChecksumAlgorithm ContentType")
@tries("s3.UploadPart", "Bucket Key UploadId PartNumber Body ChecksumAlgorithm")
@tries("s3.CompleteMultipartUpload", "Bucket Key UploadId MultipartUpload")
@tries("s3.AbortMultipartUpload", "Bucket Key UploadId")
def test_parts(s3: Any, versioned: str) -> None:
    at = {"Bucket": versioned, "Key": "large"}
    contents = [secrets.token_bytes(5 * 2**20), b"end"]
    given = s3.create_multipart_upload(**at, ChecksumAlgorithm="CRC32", ContentType="application/zip")["UploadId"]
    parts = []
    for number in (2, 1):  # the numbers decide, not the order in which they come
        answer = s3.upload_part(
            **at, UploadId=given, PartNumber=number, Body=contents[number - 1], ChecksumAlgorithm="CRC32"
        )
        assert answer["ChecksumCRC32"] == crc32(contents[number - 1])
        parts.insert(0, {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer["ChecksumCRC32"]})
    s3.complete_multipart_upload(**at, UploadId=given, MultipartUpload={"Parts": parts})
    found = s3.get_object(**at, ChecksumMode="ENABLED")
    assert found["Body"].read() == b"".join(contents)
    assert found["ContentType"] == "application/zip"
    together = b"".join(base64.b64decode(part["ChecksumCRC32"]) for part in parts)
    assert found["ChecksumCRC32"] == f"{crc32(together)}-2"
    other = s3.create_multipart_upload(**at)["UploadId"]
    s3.abort_multipart_upload(**at, UploadId=other)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(**at, UploadId=other, PartNumber=1, Body=b"1")


@tries("s3.GetBucketPolicy", "Bucket")
def test_policies(s3: Any, versioned: str) -> None:
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=versioned)
