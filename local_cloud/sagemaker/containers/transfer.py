"""Moves data between S3 and a job's directory, as the job's role.

Which local path an object gets follows SageMaker: an ``S3Prefix`` may name one object or a folder; a ``ManifestFile``
lists suffixes below the prefix in its first element.
"""

import gzip
import json
import logging
import os
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.containers.folder import Entry, Folder, UnsafePath
from local_cloud.sagemaker.core.aws_errors import error_message

log = logging.getLogger(__name__)

ALL = slice(None)
_AT_ONCE = 16


class TransferError(Exception):
    """Data could not be read or written; the message is the job's FailureReason."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def download(s3: Any, source: dict[str, Any], destination: Folder, share: slice = ALL) -> None:
    """Fetches an ``S3DataSource`` or ``S3Input``, or this share of its objects. Raises TransferError.

    Of fewer objects than hosts, some hosts get none, as on AWS.
    """
    destination.make()
    bucket, names = _listed(s3, source)
    _fetch(s3, bucket, names[share], destination)


def stream(s3: Any, source: dict[str, Any], share: slice = ALL) -> Callable[[], Iterable[bytes]]:
    """What gives the content of the same objects, one after the other, each time it is called. Raises TransferError."""
    bucket, names = _listed(s3, source)

    def content() -> Iterable[bytes]:
        for key, _ in names[share]:
            try:
                yield from s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20)
            except ClientError as error:
                raise TransferError(
                    f"ClientError: Data download failed: s3://{bucket}/{key}: {error_message(error)}"
                ) from error

    return content


def _listed(s3: Any, source: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Bucket, and of each object its key and its local path, in order."""
    uri = source["S3Uri"]
    if source.get("S3DataType", "S3Prefix") == "ManifestFile":
        bucket, names = _read_manifest(s3, uri)
    else:
        bucket, prefix = split(uri)
        names = [(key, _local_name(key, prefix)) for key in _keys(s3, bucket, prefix)]
        if not names:
            raise TransferError(f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}".')
    return bucket, sorted(names)


def download_prefix(s3: Any, uri: str, destination: Folder) -> None:
    bucket, prefix = split(uri)
    _fetch(s3, bucket, ((key, _local_name(key, prefix)) for key in _keys(s3, bucket, prefix)), destination)


def download_object(s3: Any, uri: str, destination: Path) -> None:
    bucket, key = split(uri)
    destination.parent.mkdir(parents=True, exist_ok=True)
    _fetch_one(s3, bucket, key, lambda: destination.open("wb"))


def download_into(s3: Any, uri: str, folder: Folder, name: str) -> None:
    """One object, into a folder that a job may have written to. Raises TransferError."""
    bucket, key = split(uri)
    _fetch_one(s3, bucket, key, lambda: folder.create(name))


def upload_folder(s3: Any, folder: Folder, uri: str, kms_key: str | None = None) -> int:
    """All regular files; links are left out."""
    bucket, prefix = split(uri.rstrip("/"))
    names = [entry.name for entry in folder.files() if entry.link is None]

    def send(name: str) -> None:
        with folder.open(name) as content:
            upload(s3, content, f"s3://{bucket}/{prefix}/{name}", kms_key)

    _all(send, names)
    return len(names)


def upload_file(s3: Any, file: Path, uri: str, kms_key: str | None = None) -> None:
    with file.open("rb") as content:
        upload(s3, content, uri, kms_key)


def upload(s3: Any, content: Any, uri: str, kms_key: str | None = None) -> None:
    """Bytes, or a file that nobody changes meanwhile: its length is announced before it is sent.

    Without a key the bucket's own encryption holds.
    """
    bucket, key = split(uri)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, **encryption)
    except ClientError as error:
        raise TransferError(f"ClientError: Data upload failed: {uri}: {error_message(error)}") from error


def delete_object(s3: Any, uri: str) -> None:
    bucket, key = split(uri)
    s3.delete_object(Bucket=bucket, Key=key)


def pack(folders: Iterable[Folder], archive: Path) -> None:
    """The folders' content as one tar.gz, entries in order. Level 1: weights hardly shrink further.

    The same files give the same archive: it has no times, neither of the files nor of itself. So two lanes with the
    same weights take the room of one (`local_cloud.ministack.s3.identical_contents`). On AWS archives have times.
    Of files of the same name, the first folder's; AWS asks the hosts of a job to write no such files.
    """
    files: dict[str, tuple[Folder, Entry]] = {}
    for folder in folders:
        for entry in folder.files():
            if files.setdefault(entry.name, (folder, entry))[1] is not entry:
                log.warning("%s: another host has written it too, and that host's is kept", entry.name)
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as tar,
    ):
        for name in sorted(files):
            folder, entry = files[name]
            member = tarfile.TarInfo(name)
            member.mode = entry.mode
            if entry.link is not None:  # as a link: it is not followed
                member.type, member.linkname = tarfile.SYMTYPE, entry.link
                tar.addfile(member)
                continue
            with folder.open(name) as content:
                member.size = os.fstat(content.fileno()).st_size
                tar.addfile(member, content)


def _read_manifest(s3: Any, uri: str) -> tuple[str, list[tuple[str, str]]]:
    """Bucket, and of each object its key and its path in the channel."""
    bucket, key = split(uri)
    manifest = json.loads(_read(s3, bucket, key))
    try:
        data_bucket, prefix = split(manifest[0]["prefix"])
        suffixes = manifest[1:]
    except (LookupError, TypeError) as error:
        raise TransferError(f"ClientError: {uri} is not a manifest: its first element must be a prefix.") from error
    return data_bucket, [(prefix + suffix, suffix) for suffix in suffixes]


def _keys(s3: Any, bucket: str, prefix: str) -> Iterable[str]:
    try:
        for answer in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in answer.get("Contents", ()) if not item["Key"].endswith("/"))
    except ClientError as error:
        raise TransferError(
            f"ClientError: Data download failed: s3://{bucket}/{prefix}: {error_message(error)}"
        ) from error


def _local_name(key: str, prefix: str) -> str:
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _fetch(s3: Any, bucket: str, names: Iterable[tuple[str, str]], destination: Folder) -> None:
    _all(lambda item: _fetch_one(s3, bucket, item[0], lambda: destination.create(item[1])), list(names))


def _fetch_one(s3: Any, bucket: str, key: str, create: Callable[[], IO[bytes]]) -> None:
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with create() as file:
            for chunk in body.iter_chunks(1 << 20):
                file.write(chunk)
    except UnsafePath as error:
        raise TransferError(f"ClientError: Data download failed: the key {key}: {error}") from error
    except ClientError as error:
        raise TransferError(
            f"ClientError: Data download failed: s3://{bucket}/{key}: {error_message(error)}"
        ) from error


def _read(s3: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise TransferError(
            f"ClientError: Data download failed: s3://{bucket}/{key}: {error_message(error)}"
        ) from error
    return content


def _all(action: Any, items: list[Any]) -> None:
    if len(items) == 1:
        action(items[0])
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(action, items):
            pass
