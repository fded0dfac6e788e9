"""Sending a data set to the data bucket: `headrace upload`.

What is there already is not sent again: one list of the prefix, then, for a file whose object has the same size, one
HeadObject to compare the CRC32 (an ETag is not a content hash in a bucket encrypted with a KMS key). So an interrupted
upload goes on where it stopped, and uploading an unchanged folder sends nothing.
"""

from __future__ import annotations

import base64
import mimetypes
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

import click

from data_sets.names import is_junk
from headrace.client import lines
from headrace.client.data_set import DataSet, File, name_of, read_data_set
from headrace.client.environment import Environment
from headrace.commands.change import explain_change
from headrace.commands.command import command
from headrace.commands.inspection import refuse, show
from headrace.commands.parameters import FILE
from headrace.errors import AwsError, Interrupted, UsageError
from headrace.formats import counted, iso, size
from headrace.project.folder import read_target
from headrace.terminal.output import Output
from headrace.terminal.progress import UploadProgress

THREADS = 16
# A single PUT up to here (16 threads hold at most 256 MiB), parts of this size above.
PART_SIZE = 16 * 2**20
TRANSFER = {"multipart_threshold": PART_SIZE + 1, "multipart_chunksize": PART_SIZE, "max_concurrency": 4}

Sent = Callable[[int], None]  # called with the number of bytes just sent
Done = Callable[[], None]  # called for each file that is in place


@dataclass(frozen=True, slots=True)
class Summary:
    uri: str
    sent: int  # files
    skipped: int  # files that were there already
    deleted: int  # objects
    extra: int  # objects of the data set that are not in the folder, and were left


@command(
    "upload", "PATH is a folder of class folders of images (or of train, validation and test folders of class "
    "folders), one with a table (labels.csv, metadata.csv, metadata.jsonl) or the lists of CUB-200-2011, or a .zip, "
    ".tar, .tar.gz, .tar.bz2 or .tar.xz of one. It is read as preprocessing will read it, and refused for the same "
    "reasons. Files that are there already with the same content are not sent again, so an interrupted upload goes "
    "on where it stopped. Prints the data set's S3 URI.", training="upload PATH",
)  # fmt: skip
@click.argument("path", type=FILE, metavar="PATH", help="a folder or an archive")
@click.option("--name", metavar="NAME", help="the data set's name (default: the folder's or file's name)")
@click.option("--delete", is_flag=True, help="remove objects of the data set that the folder no longer holds")
@click.option(
    "--no-check", "check", is_flag=True, flag_value=False, default=True,
    help="send it without reading it: for your own training code",
)  # fmt: skip
def upload(
    environment: Environment, output: Output, *, path: Path, name: str | None, delete: bool, check: bool = True
) -> Summary:
    """The command: checks, sends, says what to do next; prints the data set's S3 URI."""
    began = datetime.now(UTC)
    environment = lines.of_data_set(environment, name_of(path, name))
    limit = read_target(environment.name).skipped_share_of(environment.line)
    data_set = read_data_set(path, name, check=check, max_skipped_share=limit)
    if data_set.reading:
        if data_set.reading.samples:
            show(output, data_set.reading)
        refuse(data_set.reading, path)
    else:
        output.warn("the data set is sent without a check: preprocessing may refuse it")
    if delete and not data_set.prefix:
        output.warn("--delete has no effect on an archive: it is one object, replaced as a whole")
    if environment.line:
        output.note(f"{data_set.name} belongs to the model line {environment.line} ({environment.stack.pipeline})")
    if data_set.reading:
        explain_change(environment, output, data_set.reading.classes)
    total = sum(file.size for file in data_set.files)
    again = environment.command(
        f"upload {path}" + (f" --name {name}" if name else "") + ("" if check else " --no-check")
    )
    with UploadProgress(output.progress, files=len(data_set.files), size=total) as progress:
        try:
            summary = send(environment, data_set, delete=delete, sent=progress.sent, done=progress.done)
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"interrupted after {progress.files:,} of {counted(len(data_set.files), 'file')}; once the bucket is "
                "quiet, a run may start on what has arrived",
                hint=f"{again}   # goes on where this stopped",
            ) from error
    output.note(
        f"{counted(summary.sent, 'file')} sent, {summary.skipped:,} already there"
        + (f", {counted(summary.deleted, 'object')} deleted" if delete else "")
        + f" ({size(total)} in {summary.uri})"
    )
    if summary.extra:
        verb = "is" if summary.extra == 1 else "are"
        output.warn(
            f"{counted(summary.extra, 'object')} of {data_set.name} {verb} not in {path} but still part of it: "
            f"{again} --delete removes what is not in the folder"
        )
    if output.as_json:
        output.json({"uri": summary.uri, "data_set": data_set.name, "bytes": total, "sent": summary.sent,
                     "skipped": summary.skipped, "deleted": summary.deleted, "extra": summary.extra})  # fmt: skip
    else:
        output.line(summary.uri)
    if summary.sent or summary.deleted:
        watch = f"watch --after {iso(began)} --data-set {quote(data_set.name)}"
        output.next(environment.command(watch), "the run that this upload starts")
    else:
        output.next(environment.command(f"run --again {data_set.name}"), "nothing changed, so no run starts by itself")
    return summary


def send(
    environment: Environment,
    data_set: DataSet,
    *,
    delete: bool = False,
    sent: Sent = lambda count: None,
    done: Done = lambda: None,
) -> Summary:
    """Sends what is missing or different, then (`delete`) removes what the folder no longer holds."""
    bucket = environment.stack.data_bucket
    client = environment.client("s3")
    there = list_objects(environment, bucket, data_set.location)
    counts = {True: 0, False: 0}
    counting, stopping = threading.Lock(), threading.Event()

    def count(number: int) -> None:
        if stopping.is_set():  # ends the transfer of a large file, which nothing else would
            raise Interrupted("the upload was stopped")
        sent(number)

    def one(file: File) -> None:
        with environment.doing(f"sending {file.path}"):
            was_sent = _send_one(client, bucket, file, there.get(file.key), count)
        with counting:
            counts[was_sent] += 1
            done()

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")
    try:
        # It wakes once, at the end or by an error: a fifth of the time went into waking this thread for each file.
        ended, _ = wait([pool.submit(one, file) for file in data_set.files], return_when=FIRST_EXCEPTION)
        for future in ended:
            future.result()
    finally:
        stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)
    extra = sorted(set(there) - {file.key for file in data_set.files}) if data_set.prefix else []
    if not delete:  # junk in the bucket is part of no data set
        extra = [key for key in extra if not is_junk(key)]
    if delete and extra:
        delete_objects(environment, bucket, extra)
    return Summary(
        uri=f"s3://{bucket}/{data_set.location}",
        sent=counts[True],
        skipped=counts[False],
        deleted=len(extra) if delete else 0,
        extra=0 if delete else len(extra),
    )


def list_objects(environment: Environment, bucket: str, prefix: str) -> dict[str, int]:
    with environment.doing(f"listing s3://{bucket}/{prefix}"):
        pages = environment.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}


def _send_one(client: Any, bucket: str, file: File, size_there: int | None, sent: Sent) -> bool:
    """True if the file was sent, False if the object already holds these bytes."""
    try:
        content = file.path.read_bytes() if file.size <= PART_SIZE else None
        checksum = crc32(content) if content is not None else None
        if size_there == file.size:
            checksum = checksum or crc32_of_parts(file.path)
            answer = client.head_object(Bucket=bucket, Key=file.key, ChecksumMode="ENABLED")
            if answer.get("ChecksumCRC32") == checksum:
                sent(file.size)
                return False
        kind = mimetypes.guess_type(file.path.name)[0] or "application/octet-stream"
        # By name: a configuration of when_required would leave the fingerprint without a checksum.
        if content is not None:
            # As a header: behind the body, as botocore sends what it computes itself, it costs both sides more.
            client.put_object(Bucket=bucket, Key=file.key, Body=content, ContentType=kind, ChecksumCRC32=checksum)
            sent(len(content))
        else:
            from boto3.s3.transfer import TransferConfig

            options = {"ChecksumAlgorithm": "CRC32", "ContentType": kind}
            config = TransferConfig(**TRANSFER)
            client.upload_file(str(file.path), bucket, file.key, ExtraArgs=options, Config=config, Callback=sent)
    except OSError as error:
        raise UsageError(f"cannot read {file.path}: {error.strerror}", hint=f"ls -l {file.path}") from error
    return True


def delete_objects(environment: Environment, bucket: str, keys: list[str]) -> None:
    with environment.doing(f"deleting {counted(len(keys), 'object')} from {bucket}"):
        for start in range(0, len(keys), 1000):  # S3 takes at most 1,000 keys a call
            batch = [{"Key": key} for key in keys[start : start + 1000]]
            answer = environment.client("s3").delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            for failed in answer.get("Errors", []):
                raise AwsError(
                    f"cannot delete s3://{bucket}/{failed['Key']}: {failed.get('Message', failed.get('Code'))}",
                    hint=environment.command("status"),
                )


def crc32(content: bytes) -> str:
    """As S3 gives it for an object sent in one PUT: big-endian, base64."""
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def crc32_of_parts(path: Path) -> str:
    """As S3 gives it for a multipart upload in parts of PART_SIZE: the CRC32 of the parts' CRC32s, and their count."""
    parts = []
    with path.open("rb") as file:
        while part := file.read(PART_SIZE):
            parts.append(zlib.crc32(part).to_bytes(4, "big"))
    return f"{crc32(b''.join(parts))}-{len(parts)}"
