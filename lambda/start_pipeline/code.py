"""The training code in force: what lies at code/source.tar.gz, wherever it came from.

A deployment puts the sources' code there, and a maintainer may put another archive over it, as with the definition.
Jobs are given it at an address made of its content, so that executions under way keep the code they started with, and
steps are taken from the cache for the same code only.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib

from botocore.exceptions import ClientError

import log
from aws import NOT_FOUND, S3Client, error_code
from refusals import DefinitionError
from start_pipeline import documents
from start_pipeline.environment import Environment

KEY = "code/source.tar.gz"
LARGEST = 64 * 1024 * 1024  # bytes: it is read into memory, of which the function has 1 GB


class Replaced(Exception):
    """The archive was replaced or removed while it was being looked at."""


def etag(s3: S3Client, environment: Environment) -> str | None:
    """Which archive there is; None if there is none, and the code that was deployed is in force."""
    return documents.etag(s3, environment.data_bucket, KEY)


def bindings(s3: S3Client, environment: Environment, version: str | None) -> dict[str, str]:
    """What CodeHash and CodeUri stand for with that version of the archive. Raises DefinitionError for a bad one.

    The archive is read once for each version of it; what was found is noted under ledger/code/.
    """
    if version is None:
        return {}
    bucket, note = environment.data_bucket, f"ledger/code/{version.strip(chr(34))}.json"
    known = documents.read(s3, bucket, note)
    digest = known.content["hash"] if known else _adopted(s3, bucket, version, note)
    return {"CodeHash": digest, "CodeUri": f"s3://{bucket}/code/{digest}/source.tar.gz"}


def _adopted(s3: S3Client, bucket: str, version: str, note: str) -> str:
    place = f"s3://{bucket}/{KEY}"
    try:
        found = s3.get_object(Bucket=bucket, Key=KEY, IfMatch=version)
    except ClientError as error:
        if error_code(error) == "PreconditionFailed" or error_code(error) in NOT_FOUND:
            raise Replaced(f"{place} is no longer the version {version}") from error
        raise
    if found["ContentLength"] > LARGEST:
        raise DefinitionError(
            f"{place} has {found['ContentLength']:,} bytes, and an archive of code {LARGEST:,} at most",
            hint="leave data and weights out of it: those are objects of the bucket under pretrained/",
        )
    content = found["Body"].read()
    _check(content, place)
    digest = hashlib.sha256(content).hexdigest()
    s3.put_object(Bucket=bucket, Key=f"code/{digest}/source.tar.gz", Body=content)
    documents.write(s3, bucket, note, {"hash": digest})
    log.info("code adopted", code=digest, version=version)
    return digest


def _check(content: bytes, place: str) -> None:
    """It can be unpacked, and has what every step starts with; what is in the files the jobs will see."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DefinitionError(
            f"{place} is no gzip-compressed tar archive: {error}",
            hint="make it with: tar czf source.tar.gz -C <folder> .",
        ) from error
    if "entry.py" not in names:
        raise DefinitionError(
            f"{place} has no entry.py at its top level, with which every step starts",
            hint="make it of what is in the folder, not of the folder: tar czf source.tar.gz -C <folder> .",
        )
