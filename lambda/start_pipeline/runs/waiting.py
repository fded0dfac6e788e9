"""Record which data sets wait until fewer runs are in progress: for `headrace status` and `headrace watch`.

The note quiet/waiting/<data set>.json is for display only: the function sends the data set's message again itself. A
note is valid until the time in it.
"""

from __future__ import annotations

from shared import s3_json
from shared.aws import S3Client, SqsClient
from start_pipeline.environment import Environment
from start_pipeline.runs.run_limits import CONCURRENT, send_notice

SLACK_SECONDS = 120.0  # for a due check to wait in the queue


def note(s3: S3Client, sqs: SqsClient, environment: Environment, data_set: str, *, now: float, wait: float) -> None:
    """Write the note; the next check is in `wait` seconds. The first note also queues a notice (one a day is sent)."""
    held, most = s3_json.read(s3, environment.data_bucket, _key(data_set)), environment.limits.concurrent
    if held is None:
        send_notice(sqs, environment.notices_queue_url, data_set, CONCURRENT, most, now=now)
    since, until = now if held is None else held.content["since"], now + wait + SLACK_SECONDS
    content = {"data_set": data_set, "setting": CONCURRENT, "limit": most, "since": since, "until": until}
    s3_json.write(s3, environment.data_bucket, _key(data_set), content)


def forget(s3: S3Client, environment: Environment, data_set: str) -> None:
    if environment.limits.concurrent is not None:
        s3.delete_object(Bucket=environment.data_bucket, Key=_key(data_set))


def _key(data_set: str) -> str:
    return f"quiet/waiting/{data_set}.json"
