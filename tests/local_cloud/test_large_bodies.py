"""Objects that are larger than what the server holds in memory: what comes out is what went in."""

import asyncio
import base64
import hashlib
import itertools
import os
import random
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from ministack import app
from pipeline_runs import client

from local_cloud.ministack.s3 import large_bodies
from local_cloud.ministack.s3.aws_chunked import Decoder, Malformed
from local_cloud.ministack.s3.crc64 import Crc64Nvme, crc64nvme
from local_cloud.process import Running

BUCKET = "large-bodies"
LARGE = random.Random(0).randbytes(3 * 2**20 + 7)
OTHER = random.Random(1).randbytes(2**21)
IN_PARTS = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)


@pytest.fixture(scope="module")
def s3(cloud: Running) -> Any:
    made = client(cloud, "s3", Config(retries={"total_max_attempts": 1}))
    made.create_bucket(Bucket=BUCKET)
    made.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return made


def read(s3: Any, key: str, **more: str) -> bytes:
    content: bytes = s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()
    return content


def test_a_large_object_comes_back_whole_and_in_ranges(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="whole", Body=LARGE, ContentType="image/jpeg", Metadata={"a": "b"})
    assert read(s3, "whole") == LARGE
    found = s3.get_object(Bucket=BUCKET, Key="whole", Range="bytes=7-2000006")
    assert found["Body"].read() == LARGE[7:2000007]
    assert found["ContentRange"] == f"bytes 7-2000006/{len(LARGE)}"
    assert (found["ContentType"], found["Metadata"], found["ContentLength"]) == ("image/jpeg", {"a": "b"}, 2000000)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA1", "CRC32", "CRC64NVME"])
def test_a_large_object_has_the_checksum_that_was_sent(s3: Any, algorithm: str) -> None:
    """botocore sends it behind the body, and compares it again as it reads."""
    try:
        s3.put_object(Bucket=BUCKET, Key=algorithm, Body=LARGE, ChecksumAlgorithm=algorithm)
    except Exception as error:
        if "MissingDependency" in type(error).__name__:
            pytest.skip(str(error))  # CRC64NVME needs awscrt
        raise
    assert s3.head_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")[f"Checksum{algorithm}"]
    assert s3.get_object(Bucket=BUCKET, Key=algorithm, ChecksumMode="ENABLED")["Body"].read() == LARGE


def test_a_large_object_with_another_checksum_is_refused_and_leaves_the_former_one(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="refused", Body=OTHER)
    for wrong in ({"ChecksumCRC32": "AAAAAA=="}, {"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}):
        with pytest.raises(ClientError, match="BadDigest"):
            s3.put_object(Bucket=BUCKET, Key="refused", Body=LARGE, **wrong)
    assert read(s3, "refused") == OTHER


def test_a_plain_put_of_a_large_object_by_a_presigned_url_gets_a_checksum(s3: Any, cloud: Running) -> None:
    """As a browser's form or `curl --data-binary` sends it: the type says that it is a form."""
    signing = client(cloud, "s3", Config(signature_version="s3v4"))
    url = signing.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "presigned"})
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    with urlopen(Request(url, data=LARGE, method="PUT"), context=context) as answer:
        assert answer.status == 200
    found = s3.head_object(Bucket=BUCKET, Key="presigned", ChecksumMode="ENABLED")
    assert found["ChecksumCRC64NVME"] == base64.b64encode(crc64nvme(LARGE).to_bytes(8, "big")).decode()
    assert read(s3, "presigned") == LARGE


@pytest.mark.parametrize("content", [LARGE, b"small"])
def test_a_presigned_url_takes_the_content_alone_whose_checksum_it_holds(
    s3: Any, cloud: Running, content: bytes
) -> None:
    signing = client(cloud, "s3", Config(signature_version="s3v4"))
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    wanted = {"Bucket": BUCKET, "Key": "promised", "ChecksumSHA256": digest}
    url = signing.generate_presigned_url("put_object", wanted)
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    (signed,) = parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"]
    assert signed == "host;x-amz-checksum-sha256", "the sender has to repeat it"
    headers = {"x-amz-checksum-sha256": digest}
    with pytest.raises(HTTPError, match="403"):
        urlopen(Request(url, data=content, method="PUT"), context=context)
    with pytest.raises(HTTPError, match="400"):
        urlopen(Request(url, data=content[::-1], headers=headers, method="PUT"), context=context)
    with urlopen(Request(url, data=content, headers=headers, method="PUT"), context=context) as answer:
        assert answer.status == 200
    found = s3.head_object(Bucket=BUCKET, Key="promised", ChecksumMode="ENABLED")
    assert found["ChecksumSHA256"] == digest


def test_an_upload_in_parts_is_joined_and_copied(s3: Any, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(LARGE * 4)
    s3.upload_file(str(file), BUCKET, "parts", Config=IN_PARTS)
    found = s3.head_object(Bucket=BUCKET, Key="parts")
    digests = b"".join(
        hashlib.md5((LARGE * 4)[start : start + 5 * 2**20]).digest() for start in range(0, len(LARGE) * 4, 5 * 2**20)
    )
    assert found["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert read(s3, "parts") == LARGE * 4
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "parts"}, ChecksumAlgorithm="SHA256")
    s3.delete_object(Bucket=BUCKET, Key="parts", VersionId=found["VersionId"])
    assert read(s3, "copy") == LARGE * 4


def test_each_version_of_a_large_object_stays_what_it_was(s3: Any) -> None:
    first = s3.put_object(Bucket=BUCKET, Key="versions", Body=LARGE)["VersionId"]
    second = s3.put_object(Bucket=BUCKET, Key="versions", Body=OTHER)["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key="versions")["VersionId"]
    assert (read(s3, "versions", VersionId=first), read(s3, "versions", VersionId=second)) == (LARGE, OTHER)
    s3.delete_object(Bucket=BUCKET, Key="versions", VersionId=marker)
    assert read(s3, "versions") == OTHER
    s3.delete_object(Bucket=BUCKET, Key="versions", VersionId=second)
    assert read(s3, "versions") == LARGE


@pytest.mark.parametrize("size", [0, 5])
def test_each_version_of_a_small_object_stays_what_it_was(s3: Any, size: int) -> None:
    """Small bodies are no longer kept in memory either."""
    key = f"small-{size}"
    first = s3.put_object(Bucket=BUCKET, Key=key, Body=b"a" * size)["VersionId"]
    second = s3.put_object(Bucket=BUCKET, Key=key, Body=b"b" * size)["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
    assert (read(s3, key, VersionId=first), read(s3, key, VersionId=second)) == (b"a" * size, b"b" * size)
    s3.delete_object(Bucket=BUCKET, Key=key, VersionId=marker)
    s3.delete_object(Bucket=BUCKET, Key=key, VersionId=second)
    assert read(s3, key) == b"a" * size


def test_reading_goes_on_while_the_object_is_replaced(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="replaced", Body=LARGE * 8)
    body = s3.get_object(Bucket=BUCKET, Key="replaced")["Body"]
    begin = body.read(1000)
    s3.put_object(Bucket=BUCKET, Key="replaced", Body=OTHER)
    assert begin + body.read() == LARGE * 8


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel shows no peaks of memory")
def test_96_mb_take_less_than_64_mb_of_memory_in_either_way_and_back(s3: Any, cloud: Running, tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("wb") as opened:
        for _ in range(96):
            opened.write(os.urandom(10**6))

    def resident(name: str) -> int:
        lines = Path(f"/proc/{cloud.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    s3.put_object(Bucket=BUCKET, Key="warm", Body=LARGE)
    rest = resident("VmRSS")
    Path(f"/proc/{cloud.pid}/clear_refs").write_text("5")  # forgets the peak so far
    with file.open("rb") as opened:
        s3.put_object(Bucket=BUCKET, Key="one", Body=opened)
    s3.upload_file(str(file), BUCKET, "many", Config=IN_PARTS)
    for key in ("one", "many"):
        with (tmp_path / "back").open("wb") as back:
            s3.download_fileobj(BUCKET, key, back)
        assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert resident("VmHWM") - rest < 64 * 10**6  # 20 to 34 MB were seen, the more the busier the machine is


def test_a_copy_of_a_large_object_takes_no_room(s3: Any, cloud: Running) -> None:
    s3.put_object(Bucket=BUCKET, Key="original", Body=LARGE)
    s3.copy_object(Bucket=BUCKET, Key="linked", CopySource={"Bucket": BUCKET, "Key": "original"})
    folder = cloud.state / "s3" / cloud.account / BUCKET
    assert (folder / "original").samefile(folder / "linked")
    s3.put_object(Bucket=BUCKET, Key="original", Body=OTHER)
    assert read(s3, "linked") == LARGE


@pytest.mark.parametrize("size", [100_000, len(LARGE)])
def test_the_same_content_takes_room_once(s3: Any, cloud: Running, size: int) -> None:
    """Also after one of the objects was replaced or deleted, and when a version is written over."""
    folder, names = cloud.state / "s3" / cloud.account / BUCKET, [f"same-{size}-{number}" for number in range(4)]
    files, content = [folder / name for name in names], random.Random(size).randbytes(size)
    for name in names[:2]:
        s3.put_object(Bucket=BUCKET, Key=name, Body=content)
    assert files[0].samefile(files[1])
    s3.put_object(Bucket=BUCKET, Key=names[1], Body=content[::-1])
    assert (read(s3, names[0]), read(s3, names[1])) == (content, content[::-1])
    s3.put_object(Bucket=BUCKET, Key=names[2], Body=content)  # its last place has another content now
    s3.put_object(Bucket=BUCKET, Key=names[3], Body=content)
    assert files[2].samefile(files[3])
    s3.delete_object(Bucket=BUCKET, Key=names[2])
    s3.put_object(Bucket=BUCKET, Key=names[3], Body=content)  # over itself
    assert (read(s3, names[0]), read(s3, names[3])) == (content, content)
    assert not list(folder.rglob("*.tmp"))


def test_nothing_is_left_of_bodies_that_were_refused_or_kept(s3: Any, cloud: Running) -> None:
    s3.put_object(Bucket=BUCKET, Key="kept", Body=LARGE)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="there-is-none", Key="a", Body=LARGE)
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=BUCKET, Key="refused", Body=LARGE, ChecksumCRC32="AAAAAA==")
    deadline = time.monotonic() + 60
    while left := list((cloud.state / "tmp").glob("body-*")):  # until the request has ended after its answer
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("headers", "last", "error"),
    [
        ({"content-length": "7"}, {"type": "http.request", "body": b""}, Malformed),
        ({"content-encoding": "aws-chunked"}, {"type": "http.request", "body": b"no size\r\n"}, Malformed),
        ({}, {"type": "http.disconnect"}, app._RequestBodyDisconnected),  # gone, or the door has refused the body
    ],
)
def test_a_refused_body_is_deleted_while_its_error_is_still_known(
    headers: dict[str, str], last: dict[str, Any], error: type[Exception], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    messages = [last, {"type": "http.request", "body": b"", "more_body": True}]

    async def receive() -> dict[str, Any]:
        return messages.pop()

    with pytest.raises(error) as caught:
        asyncio.run(large_bodies._receive(receive, headers))
    assert list(tmp_path.iterdir()) == [], caught.value


CHUNKED = b"3;chunk-signature=0\r\nabc\r\nA\r\n0123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
HEADERS = {
    "content-encoding": "aws-chunked,gzip",
    "x-amz-decoded-content-length": "13",
    "x-amz-trailer": "x-amz-checksum-crc32",
}


def decode(pieces: list[bytes], headers: dict[str, str]) -> bytes:
    decoder = Decoder(headers)
    decoded = b"".join(part for piece in pieces for part in decoder.feed(piece))
    decoder.end(len(decoded))
    return decoded


@given(st.lists(st.integers(0, len(CHUNKED)), max_size=12))
def test_a_chunked_body_is_decoded_wherever_its_pieces_are_cut(cuts: list[int]) -> None:
    headers, places = dict(HEADERS), sorted({0, len(CHUNKED), *cuts})
    pieces = [CHUNKED[begin:end] for begin, end in itertools.pairwise(places)]
    assert decode(pieces, headers) == b"abc0123456789"
    assert headers["x-amz-checksum-crc32"] == "AAAAAA=="
    assert headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"3\r\nabcd\r\n0\r\n\r\n", "does not end where"),
        (b"-3\r\nabc\r\n0\r\n\r\n", "is not a number"),
        (b"3\r\nabc\r\n", "the last chunk is missing"),
        (b"3\r\nabc\r\n0\r\nx-amz", "not complete"),
        (b"3\r\nabc\r\n0\r\nnothing\r\n\r\n", "has no name"),
        (b"D\r\nabc0123456789\r\n0\r\n\r\n", "crc32 is missing"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-crc32:A\r\n\r\n", "3 bytes were decoded, and 13"),
        (b"1" * 20_000, "do not end"),
    ],
)
def test_a_chunked_body_of_another_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode([body], dict(HEADERS))


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_a_crc_in_pieces_is_that_of_the_whole(pieces: list[bytes]) -> None:
    crc = Crc64Nvme()
    for piece in pieces:
        crc.update(piece)
    assert crc.value == crc64nvme(b"".join(pieces))
