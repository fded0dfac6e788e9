"""Each object has a checksum: S3 adds a CRC64NVME of the whole object where the sender gave none.

Since December 2024 (S3's guide, "Checking object integrity": "If you don't specify a checksum, S3 adds CRC64NVME"). A
plain PUT by a presigned URL had none in ministack, and was refused as part of a data set.
"""

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ministack.services import s3

from local_cloud.ministack.s3.crc64 import crc64nvme


@dataclass
class Copying:
    """One CopyObject: the algorithm that it asks for, or "", and the checksums that the copy got."""

    algorithm: str
    checksums: dict[str, str] = field(default_factory=dict)


_copying: contextvars.ContextVar[Copying | None] = contextvars.ContextVar("copying", default=None)


def install() -> None:
    s3._copy_object = _with_its_algorithm(s3._copy_object)
    s3._crc64nvme = crc64nvme
    s3._record_object_version = _with_checksum(s3._record_object_version)


def _with_checksum(original: Callable[..., Any]) -> Callable[..., Any]:
    """Every way of writing an object comes here, after it was checked and before it is kept."""

    def record(bucket: str, key: str, prior: Any, made: dict[str, Any], body: bytes | None) -> Any:
        copying = _copying.get()
        if copying and copying.algorithm:  # ministack keeps the source's as well; an object has one
            made["checksums"] = {copying.algorithm: made["checksums"][copying.algorithm]}
            made["checksum_type"] = "FULL_OBJECT"
        if body is not None and not made.get("checksums"):
            made["checksums"] = {"CRC64NVME": s3._compute_s3_checksum("CRC64NVME", body)}
            made["checksum_type"] = "FULL_OBJECT"
        if copying:
            copying.checksums = made.get("checksums") or {}
        return original(bucket, key, prior, made, body)

    return record


def _with_its_algorithm(original: Callable[..., Any]) -> Callable[..., Any]:
    """CopyObject's ``ChecksumAlgorithm``, which ministack reads under the name that PutObject's has.

    The answer has the copy's checksum (CopyObjectResult in S3's reference), which ministack leaves out.
    """

    def copy(bucket: str, key: str, headers: dict[str, str], *arguments: Any, **named: Any) -> Any:
        algorithm = headers.get("x-amz-checksum-algorithm", "").upper()
        if algorithm:
            headers = headers | {"x-amz-sdk-checksum-algorithm": algorithm}
        copying = Copying(algorithm)
        token = _copying.set(copying)
        try:
            status, answered, body = original(bucket, key, headers, *arguments, **named)
        finally:
            _copying.reset(token)
        if status == HTTPStatus.OK and copying.checksums:
            found = "".join(f"<Checksum{name}>{value}</Checksum{name}>" for name, value in copying.checksums.items())
            body = body.replace(b"</CopyObjectResult>", f"{found}</CopyObjectResult>".encode())
        return status, answered, body

    return copy
