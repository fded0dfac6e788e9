"""Each object has a checksum: S3 adds a CRC64NVME of the whole object where the sender gave none.

Since December 2024 (S3's guide, "Checking object integrity": "If you don't specify a checksum, S3 adds CRC64NVME"). A
plain PUT by a presigned URL had none in ministack, and was refused as part of a data set.
"""

import base64
import struct
from collections.abc import Callable
from typing import Any

from ministack.services import s3

from local_cloud.adapter.crc64 import crc64nvme


def plug_in() -> None:
    s3._record_object_version = _with_checksum(s3._record_object_version)


def _with_checksum(original: Callable[..., Any]) -> Callable[..., Any]:
    """Every way of writing an object comes here, after it was checked and before it is kept."""

    def record(bucket: str, key: str, prior: Any, made: dict[str, Any], body: bytes | None) -> Any:
        if body is not None and not made.get("checksums"):
            made["checksums"] = {"CRC64NVME": base64.b64encode(struct.pack(">Q", crc64nvme(body))).decode()}
            made["checksum_type"] = "FULL_OBJECT"
        return original(bucket, key, prior, made, body)

    return record
