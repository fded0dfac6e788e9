"""S3 in memory: as much of it as the functions use."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from botocore.response import StreamingBody

NOT_IN_XML = "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
PAGE = 3  # items a listing returns at once, so that every listing in a test has pages


class Refused(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.members: dict[str, Any] = {}  # of the error, beside code and message


@dataclass
class Version:
    id: str
    body: bytes | None  # None: a delete marker
    modified: float
    checksum: bool = True
    algorithm: str = "CRC32"

    @property
    def etag(self) -> str:
        return f'"{self.id}"'  # opaque, as that of a KMS-encrypted object: equal content has another one


def checksum_of(version: Version) -> dict[str, Any]:
    assert version.body is not None
    if version.algorithm == "SHA256":
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(version.body).digest()).decode()}
    found = base64.b64encode(zlib.crc32(version.body).to_bytes(4, "big")).decode()
    if version.algorithm == "CRC32":
        return {"ChecksumCRC32": found}
    # Of a kind that boto3 has no member for: its answer has the headers alone.
    headers = {f"x-amz-checksum-{version.algorithm.lower()}": found, "x-amz-checksum-type": "FULL_OBJECT"}
    return {"ResponseMetadata": {"HTTPHeaders": headers}}


@dataclass
class Buckets:
    now: float = 1_800_000_000.0
    buckets: dict[str, dict[str, list[Version]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def current(self, bucket: str, key: str) -> Version | None:
        versions = self.buckets.get(bucket, {}).get(key, [])
        return versions[-1] if versions and versions[-1].body is not None else None

    def text(self, bucket: str, key: str) -> bytes | None:
        version = self.current(bucket, key)
        return None if version is None else version.body

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        keys = sorted(self.buckets.get(bucket, {}), key=str.encode)
        return [key for key in keys if key.startswith(prefix) and self.current(bucket, key)]

    def put(self, bucket: str, key: str, body: bytes | None, *, checksum: bool = True) -> Version:
        version = Version(f"v{next(self.numbers)}", body, self.now, checksum)
        self.buckets.setdefault(bucket, {}).setdefault(key, []).append(version)
        return version

    def put_object(self, Bucket: str, Key: str, Body: bytes, **more: Any) -> dict[str, Any]:
        held = self.current(Bucket, Key)
        if "IfNoneMatch" in more and held:
            raise Refused("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        if "IfMatch" in more and not held:
            raise Refused("NoSuchKey", "The specified key does not exist.", 404)
        if "IfMatch" in more and held and held.etag != more["IfMatch"]:
            raise Refused("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        return {"ETag": self.put(Bucket, Key, Body).etag}

    def get_object(self, Bucket: str, Key: str, **more: Any) -> dict[str, Any]:
        held = self.current(Bucket, Key)
        if held is None or held.body is None:
            raise Refused("NoSuchKey", "The specified key does not exist.", 404)
        if more.get("IfMatch", held.etag) != held.etag:
            raise Refused("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        content = held.body
        if "Range" in more:
            first, last = map(int, more["Range"].removeprefix("bytes=").split("-"))
            if first >= len(content):
                raise Refused("InvalidRange", "The requested range is not satisfiable", 416)
            content = content[first : last + 1]
        body = StreamingBody(BytesIO(content), len(content))
        return {"ETag": held.etag, "ContentLength": len(content), "Body": body}

    def head_object(self, Bucket: str, Key: str, **more: Any) -> dict[str, Any]:
        held = self.current(Bucket, Key)
        if held is None or held.body is None:
            raise Refused("404", "Not Found", 404)
        if more.get("IfMatch", held.etag) != held.etag:
            raise Refused("412", "Precondition Failed", 412)
        answer: dict[str, Any] = {"ETag": held.etag, "ContentLength": len(held.body), "VersionId": held.id}
        return answer | (checksum_of(held) if more.get("ChecksumMode") == "ENABLED" and held.checksum else {})

    def delete_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        if VersionId is not None:
            versions = self.buckets[Bucket][Key]
            versions[:] = [version for version in versions if version.id != VersionId]
            return {"VersionId": VersionId}
        return {"DeleteMarker": True, "VersionId": self.put(Bucket, Key, None).id}

    def copy_object(self, Bucket: str, Key: str, CopySource: str, ChecksumAlgorithm: str = "CRC32") -> dict[str, Any]:
        source = self.text(*unquote(CopySource).split("/", 1))
        if source is None:
            raise Refused("NoSuchKey", "The specified key does not exist.", 404)
        made = self.put(Bucket, Key, source)
        made.algorithm = ChecksumAlgorithm
        return {"VersionId": made.id, "CopyObjectResult": {"ETag": made.etag, **checksum_of(made)}}

    def list_objects_v2(self, Bucket: str, Prefix: str, **more: Any) -> dict[str, Any]:
        keys = [key for key in self.keys(Bucket, Prefix) if key > more.get("ContinuationToken", "")]
        contents = []
        for key in keys[:PAGE]:
            held = self.current(Bucket, key)
            assert held is not None
            assert held.body is not None
            modified = datetime.fromtimestamp(held.modified // 1, UTC)  # S3 reports whole seconds
            contents.append({"Key": key, "Size": len(held.body), "ETag": held.etag, "LastModified": modified})
        if not contents:  # S3 leaves the element out
            return {"KeyCount": 0, "IsTruncated": False}
        answer: dict[str, Any] = {"Contents": contents, "IsTruncated": len(keys) > PAGE}
        return answer | ({"NextContinuationToken": keys[PAGE - 1]} if len(keys) > PAGE else {})

    def list_object_versions(self, Bucket: str, MaxKeys: int, **_: Any) -> dict[str, Any]:
        if Bucket not in self.buckets:
            raise Refused("NoSuchBucket", "The specified bucket does not exist", 404)
        every = [(key, version) for key, versions in self.buckets[Bucket].items() for version in versions]
        page = every[: min(MaxKeys, PAGE)]
        named = [(version.body, {"Key": key, "VersionId": version.id}) for key, version in page]
        return {
            "Versions": [item for body, item in named if body is not None],
            "DeleteMarkers": [item for body, item in named if body is None],
            "IsTruncated": len(every) > PAGE,
        }

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        if any(re.search(NOT_IN_XML, item["Key"]) for item in Delete["Objects"]):
            raise Refused("MalformedXML", "The XML you provided was not well-formed")
        for item in Delete["Objects"]:
            versions = self.buckets[Bucket][item["Key"]]
            versions[:] = [version for version in versions if version.id != item["VersionId"]]
        return {}
