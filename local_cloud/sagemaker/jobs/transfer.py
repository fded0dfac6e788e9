"""Moves data between S3 and a job's directory, as the job's role.

Which local path an object gets follows SageMaker: an ``S3Prefix`` may name one object or a folder; a ``ManifestFile``
lists suffixes below the prefix in its first element.
"""

import json
import logging
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

log = logging.getLogger("headrace.sagemaker")

ALL = slice(None)
_AT_ONCE = 16


class TransferError(Exception):
    """Data could not be read or written; the message is the job's FailureReason."""


def split(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def download(s3: Any, source: dict[str, Any], destination: Path, share: slice = ALL) -> None:
    """Fetches an ``S3DataSource`` or ``S3Input``, or this share of its objects. Raises TransferError.

    Of fewer objects than hosts, some hosts get none, as on AWS.
    """
    destination.mkdir(parents=True, exist_ok=True)
    uri = source["S3Uri"]
    if source.get("S3DataType", "S3Prefix") == "ManifestFile":
        bucket, names = _read_manifest(s3, uri)
    else:
        bucket, prefix = split(uri)
        names = [(key, _local_name(key, prefix)) for key in _keys(s3, bucket, prefix)]
        if not names:
            raise TransferError(f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}".')
    _fetch(s3, bucket, sorted(names)[share], destination)


def download_prefix(s3: Any, uri: str, destination: Path) -> None:
    bucket, prefix = split(uri)
    _fetch(s3, bucket, ((key, _local_name(key, prefix)) for key in _keys(s3, bucket, prefix)), destination)


def download_object(s3: Any, uri: str, destination: Path) -> None:
    bucket, key = split(uri)
    destination.parent.mkdir(parents=True, exist_ok=True)
    _fetch_one(s3, bucket, key, destination)


def upload_folder(s3: Any, folder: Path, uri: str) -> int:
    bucket, prefix = split(uri.rstrip("/"))
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink()]
    _all(lambda file: upload_file(s3, file, f"s3://{bucket}/{prefix}/{file.relative_to(folder).as_posix()}"), files)
    return len(files)


def upload_file(s3: Any, file: Path, uri: str) -> None:
    with file.open("rb") as content:
        upload(s3, content, uri)


def upload(s3: Any, content: Any, uri: str) -> None:
    """Bytes, or a file that nobody changes meanwhile: its length is announced before it is sent."""
    bucket, key = split(uri)
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    except ClientError as error:
        raise TransferError(f"ClientError: Data upload failed: {uri}: {_message(error)}") from error


def delete_object(s3: Any, uri: str) -> None:
    bucket, key = split(uri)
    s3.delete_object(Bucket=bucket, Key=key)


def pack(folders: Iterable[Path], archive: Path) -> None:
    """The folders' content as one tar.gz, entries in order. Level 1: weights hardly shrink further.

    Of files of the same name, the first folder's; AWS asks the hosts of a job to write no such files.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for file in folder.rglob("*"):
            name = file.relative_to(folder).as_posix()
            if file.is_file() and files.setdefault(name, file) is not file:
                log.warning("%s: another host has written %s, too, and its is kept", file, name)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in sorted(files):
            tar.add(files[name], name)


def _read_manifest(s3: Any, uri: str) -> tuple[str, list[tuple[str, str]]]:
    """Bucket, and of each object its key and its path in the channel."""
    bucket, key = split(uri)
    manifest = json.loads(_read(s3, bucket, key))
    try:
        data_bucket, prefix = split(manifest[0]["prefix"])
        suffixes = manifest[1:]
    except (LookupError, TypeError) as error:
        raise TransferError(f"ClientError: {uri} is no manifest: its first element must be a prefix.") from error
    return data_bucket, [(prefix + suffix, suffix) for suffix in suffixes]


def _keys(s3: Any, bucket: str, prefix: str) -> Iterable[str]:
    try:
        for answer in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in answer.get("Contents", ()) if not item["Key"].endswith("/"))
    except ClientError as error:
        raise TransferError(f"ClientError: Data download failed: s3://{bucket}/{prefix}: {_message(error)}") from error


def _local_name(key: str, prefix: str) -> str:
    if prefix.endswith("/") or not prefix:
        return key[len(prefix) :]
    if key.startswith(f"{prefix}/"):
        return key[len(prefix) + 1 :]
    return key[prefix.rfind("/") + 1 :]


def _fetch(s3: Any, bucket: str, names: Iterable[tuple[str, str]], destination: Path) -> None:
    root = destination.resolve()
    items = []
    for key, name in names:
        target = (root / name).resolve()
        if not target.is_relative_to(root):
            raise TransferError(f"ClientError: Data download failed: the key {key} leads out of the input's folder.")
        target.parent.mkdir(parents=True, exist_ok=True)
        items.append((key, target))
    _all(lambda item: _fetch_one(s3, bucket, *item), items)


def _fetch_one(s3: Any, bucket: str, key: str, target: Path) -> None:
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with target.open("wb") as file:
            for chunk in body.iter_chunks(1 << 20):
                file.write(chunk)
    except ClientError as error:
        raise TransferError(f"ClientError: Data download failed: s3://{bucket}/{key}: {_message(error)}") from error


def _read(s3: Any, bucket: str, key: str) -> bytes:
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise TransferError(f"ClientError: Data download failed: s3://{bucket}/{key}: {_message(error)}") from error
    return content


def _all(action: Any, items: list[Any]) -> None:
    if len(items) == 1:
        action(items[0])
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(action, items):
            pass


def _message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or error)
