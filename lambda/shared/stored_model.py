"""The S3 key of a registered model's artifact: models/<SHA-256>/model.tar.gz in the data bucket.

The key contains the hash of the content, and the bucket policy lets only store_model write there
(infra/stacks/training_stack.py). So a version with such a key identifies exactly these bytes.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from shared.aws import DENIED, S3Client, error_code

NAME = "model.tar.gz"
_KEY = re.compile(rf"models/([0-9a-f]{{64}})/{re.escape(NAME)}")
_SHA256 = re.compile("[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether the text is a SHA-256 in lower-case hexadecimal."""
    return bool(_SHA256.fullmatch(text))


def key_of(sha256: str) -> str:
    return f"models/{sha256}/{NAME}"


def sha256_in(key: str) -> str | None:
    """The SHA-256 in an artifact's key; None for any other key."""
    match = _KEY.fullmatch(key)
    return match[1] if match else None


def as_checksum(sha256: str) -> str:
    """The form that S3 uses in ChecksumSHA256."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def split(url: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    place = urlsplit(url)
    return place.netloc, place.path.lstrip("/")


def exists(s3: S3Client, url: str) -> bool:
    """Whether the object exists. Listing needs no permission to read it, and distinguishes "gone" from "denied".

    An object in a bucket that this function may not list (a version registered by hand) counts as existing: the job
    that reads it fails with the reason if it does not exist.
    """
    bucket, key = split(url)
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    except ClientError as error:
        if error_code(error) == "NoSuchBucket":
            return False
        if error_code(error) in DENIED:
            return True
        raise
    return any(item["Key"] == key for item in listed.get("Contents", []))
