"""The pipeline's StoreModel step: copy the evaluated artifact to a key where it cannot be replaced.

Evaluate's copy is under runs/, where any job of the environment can write. Only this function may write under models/.
It copies the object to a key that contains the SHA-256 that Evaluate recorded, and S3 computes the SHA-256 of the copy.
If the artifact was replaced in between, the step fails with that reason.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from botocore.exceptions import ClientError

from shared import aws, log
from shared.aws import NOT_FOUND, S3Client, error_code
from shared.env_vars import Variables
from shared.errors import ArtifactError, MalformedEvent
from shared.stored_model import as_checksum, exists, is_sha256, key_of, split

MAX_BYTES = 5 * 1024**3  # bytes that one CopyObject takes; the checksum of a copy in parts is not that of the content
COPY_SECONDS = 240  # for S3 to copy 5 GB: the function has 300
UNVERSIONED = "null"  # S3's version id of an object in a bucket without versioning
HINT = (
    "the object was changed after Evaluate wrote it: CloudTrail's data events show by whom, if they are switched on. A "
    "slightly higher threshold takes Evaluate out of the cache: headrace run DATA_SET --set AccuracyThreshold=VALUE"
)
ARGUMENTS = "the strings ModelDataUrl and Sha256 (64 hexadecimal digits) and the whole number Bytes"


@dataclass(frozen=True, slots=True)
class Environment(Variables):
    data_bucket: str


class Answer(TypedDict):
    ModelDataUrl: str
    VersionId: str


@dataclass(frozen=True, slots=True)
class Judged:
    """The step's arguments: the artifact's URL, and the SHA-256 and size that Evaluate measured."""

    url: str
    sha256: str
    size: int  # bytes

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Judged:
        url, sha256, size = event.get("ModelDataUrl"), event.get("Sha256"), str(event.get("Bytes"))
        if not (isinstance(url, str) and isinstance(sha256, str) and is_sha256(sha256) and size.isdecimal()):
            raise MalformedEvent(
                f"the event holds {sorted(event)}, not {ARGUMENTS}",
                hint="give the Lambda step these arguments; Evaluate writes the last two into decision.json, as "
                "artifact.sha256 and artifact.bytes",
            )
        return cls(url, sha256, int(size))


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> Answer:
    """Store the artifact. `PipelineExecutionArn` in the event is for the log, and is optional."""
    with log.context(request_id=context.aws_request_id, execution=event.get("PipelineExecutionArn")):
        bucket = Environment.from_variables(os.environ).data_bucket
        return store(aws.client("s3", COPY_SECONDS), bucket, Judged.from_event(event))


def store(s3: S3Client, bucket: str, judged: Judged) -> Answer:
    """Copy the artifact, unless it is stored already. Raises ArtifactError if it is not the evaluated one."""
    source_bucket, source = split(judged.url)
    if source_bucket != bucket:
        raise ArtifactError(
            f"{judged.url} does not lie in the data bucket {bucket}",
            hint="give the step the output of Evaluate, s3://<data bucket>/runs/…/model.tar.gz",
        )
    if judged.size > MAX_BYTES:
        raise ArtifactError(
            f"{judged.url} has {judged.size:,} bytes, and a model has at most {MAX_BYTES:,}",
            hint="train a smaller network, or leave optimizer state and data out of the model folder",
        )
    key = key_of(judged.sha256)
    url = f"s3://{bucket}/{key}"
    version = stored_version(s3, bucket, key, judged) or copy(s3, bucket, source, key, judged)
    log.info("model stored", url=url, version_id=version, source=judged.url)
    return {"ModelDataUrl": url, "VersionId": version}


def stored_version(s3: S3Client, bucket: str, key: str, judged: Judged) -> str | None:
    """The version id of the stored object, if it has these bytes: the same artifact was registered before."""
    if not exists(s3, f"s3://{bucket}/{key}"):
        return None
    found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    return version_of(found) if found.get("ChecksumSHA256") == as_checksum(judged.sha256) else None


def version_of(answer: Mapping[str, Any]) -> str:
    return str(answer.get("VersionId", UNVERSIONED))


def copy(s3: S3Client, bucket: str, source: str, key: str, judged: Judged) -> str:
    """The version id of the new copy. A copy with other bytes is deleted."""
    try:
        made = s3.copy_object(
            Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": source}, ChecksumAlgorithm="SHA256"
        )
    except ClientError as error:
        if error_code(error) not in NOT_FOUND:
            raise
        raise ArtifactError(f"{judged.url} is not there any more", hint=HINT) from error
    version = version_of(made)
    if made["CopyObjectResult"].get("ChecksumSHA256") != as_checksum(judged.sha256):
        s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        raise ArtifactError(
            f"{judged.url} is not the artifact that Evaluate judged: its SHA-256 is not {judged.sha256}", hint=HINT
        )
    return version
