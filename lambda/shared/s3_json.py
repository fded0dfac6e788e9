"""Small JSON documents in the bucket, written on a condition: the markers and the ledger rest on this."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from shared.aws import NOT_FOUND, S3Client, error_code

CONFLICT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it was read; the etag names this version of it."""

    content: dict[str, Any]
    etag: str


def read(s3: S3Client, bucket: str, key: str) -> Stored | None:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in NOT_FOUND:
            return None
        raise
    return Stored(json.loads(answer["Body"].read()), answer["ETag"])


def create(s3: S3Client, bucket: str, key: str, content: dict[str, Any]) -> str | None:
    """The new document's etag; None if there is one already."""
    return _put(s3, bucket, key, content, {"IfNoneMatch": "*"})


def replace(s3: S3Client, bucket: str, key: str, content: dict[str, Any], *, etag: str) -> str | None:
    """The new version's etag; None if the document is no longer the one of that etag."""
    return _put(s3, bucket, key, content, {"IfMatch": etag})


def write(s3: S3Client, bucket: str, key: str, content: object) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode(), ContentType="application/json")


def etag(s3: S3Client, bucket: str, key: str) -> str | None:
    """Which version of the object there is; None if there is none."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["ETag"])
    except ClientError as error:
        if error_code(error) in NOT_FOUND:
            return None
        raise


def _put(s3: S3Client, bucket: str, key: str, content: dict[str, Any], condition: dict[str, str]) -> str | None:
    body = json.dumps(content).encode()
    for attempt in range(1, CONFLICT_ATTEMPTS + 1):
        try:
            answer = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **condition)
        except ClientError as error:
            code = error_code(error)
            if code == "PreconditionFailed" or code in NOT_FOUND:  # If-Match on a deleted object is "not found"
                # boto3 sends a request again whose answer was lost, and may then meet what it has written itself.
                held = read(s3, bucket, key)
                return held.etag if held and held.content == content else None
            # S3 asks to try again when another write or delete of the key was under way at the same moment.
            if code != "ConditionalRequestConflict" or attempt == CONFLICT_ATTEMPTS:
                raise
        else:
            return str(answer["ETag"])
    raise AssertionError("the last attempt returns or raises")
