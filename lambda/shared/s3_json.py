"""Read and write small JSON documents in the bucket, with conditional writes. Markers and ledger rely on these."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from shared.aws import NOT_FOUND, S3Client, error_code

CONFLICT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it was read; the ETag identifies this version."""

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
    """The new document's ETag; None if the document exists already."""
    return _put(s3, bucket, key, content, {"IfNoneMatch": "*"})


def replace(s3: S3Client, bucket: str, key: str, content: dict[str, Any], *, etag: str) -> str | None:
    """The new version's ETag; None if the document no longer has the given ETag."""
    return _put(s3, bucket, key, content, {"IfMatch": etag})


def write(s3: S3Client, bucket: str, key: str, content: object) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode(), ContentType="application/json")


def etag(s3: S3Client, bucket: str, key: str) -> str | None:
    """The ETag of the object; None if it does not exist."""
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
                # boto3 repeats a request whose answer was lost, and may then find the document that it wrote itself.
                held = read(s3, bucket, key)
                return held.etag if held and held.content == content else None
            # S3 asks for a retry when another write or delete of the key was in progress at the same moment.
            if code != "ConditionalRequestConflict" or attempt == CONFLICT_ATTEMPTS:
                raise
        else:
            return str(answer["ETag"])
    raise AssertionError("the last attempt returns or raises")
