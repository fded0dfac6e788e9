"""An object that comes without a checksum gets one, as in S3: by a presigned URL, in parts, and by a form."""

import base64
import hashlib
import os
import ssl
import struct
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from ministack.services import s3 as base
from pipeline_runs import client

from local_cloud.ministack.s3.crc64 import crc64nvme
from local_cloud.process import Running

Connect = Callable[[str], Any]
CHECK = b"123456789", 0xAE8B14860A799888  # of the catalogue of parametrised CRC algorithms


def test_the_checksum_is_the_catalogues() -> None:
    assert crc64nvme(CHECK[0]) == CHECK[1]


@pytest.mark.parametrize("length", [0, 1, 8, 65_535, 65_536, 65_537, 1_000_003])
def test_long_content_has_the_checksum_of_the_plain_loop(length: int) -> None:
    content = os.urandom(length)
    assert crc64nvme(content) == base._crc64nvme(content)


def expected(content: bytes) -> str:
    return base64.b64encode(struct.pack(">Q", crc64nvme(content))).decode()


def test_a_put_by_a_presigned_url_gets_a_checksum(cloud: Running, connect: Connect, bucket: str) -> None:
    signed = client(cloud, "s3", Config(signature_version="s3v4", request_checksum_calculation="when_required"))
    address = signed.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "raw"})
    content = os.urandom(100_000)
    request = urllib.request.Request(address, data=content, method="PUT")
    trusted = ssl.create_default_context(cafile=str(cloud.certificate))
    with urllib.request.urlopen(request, context=trusted) as answer:
        assert answer.status == 200
    head = connect("s3").head_object(Bucket=bucket, Key="raw", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (expected(content), "FULL_OBJECT")
    copied = connect("s3").copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/raw")
    assert copied["CopyObjectResult"]["ChecksumCRC64NVME"] == expected(content)
    hashed = connect("s3").copy_object(
        Bucket=bucket, Key="hashed", CopySource=f"{bucket}/raw", ChecksumAlgorithm="SHA256"
    )["CopyObjectResult"]
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert (hashed["ChecksumSHA256"], "ChecksumCRC64NVME" in hashed) == (sha256, False)
    head = connect("s3").head_object(Bucket=bucket, Key="hashed", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == sha256
    assert connect("s3").head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")["ChecksumCRC64NVME"]


def test_an_object_in_parts_without_checksums_gets_one_of_the_whole(
    cloud: Running, connect: Connect, bucket: str
) -> None:
    plain = client(cloud, "s3", Config(request_checksum_calculation="when_required"))
    upload = plain.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    contents = [os.urandom(5 * 2**20), b"end"]
    parts = [
        {"PartNumber": number, "ETag": plain.upload_part(
            Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=content)["ETag"]}
        for number, content in enumerate(contents, 1)
    ]  # fmt: skip
    plain.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    head = connect("s3").head_object(Bucket=bucket, Key="parts", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (expected(b"".join(contents)), "FULL_OBJECT")


def test_a_senders_own_checksum_stays(connect: Connect, bucket: str) -> None:
    connect("s3").put_object(Bucket=bucket, Key="own", Body=b"1", ChecksumAlgorithm="SHA256")
    head = connect("s3").head_object(Bucket=bucket, Key="own", ChecksumMode="ENABLED")
    assert "ChecksumSHA256" in head
    assert "ChecksumCRC64NVME" not in head
