"""Debounce uploads: one delayed check per data set, however many objects are uploaded.

The marker quiet/<data set>.json means: a check is scheduled that will delete this marker and list the data set
*afterwards*. Hence no upload is missed, whatever the order of events and checks:

- an event that finds the marker needs no action: its object existed before the event, so before the check's listing;
- an event after the check has deleted the marker finds none, and schedules the next check;
- if the listing came before the deletion, an event in between would find the marker and be lost.

One case remains: a marker whose check never arrives. A function that cannot send the check deletes the marker. If a
function dies between the two steps of `schedule`, its message is delivered again: the message id identifies its marker,
and the function sends the check. A check that is lost for good stops counting when the marker expires.
"""

import json
from math import ceil

from shared import log, s3_json
from shared.aws import S3Client, SqsClient
from start_pipeline.environment import MAX_DELAY, Environment

EXPIRY_SLACK = 60  # seconds that a due check may wait in the queue before its marker stops counting


def schedule(
    s3: S3Client,
    sqs: SqsClient,
    environment: Environment,
    data_set: str,
    *,
    now: float,
    message_id: str,
    wait: float | None = None,
    removed: bool = False,
    seen: str = "",
) -> bool:
    """Send a check of the data set, due in `wait` seconds (default: the quiet period), unless one is scheduled.

    `removed` is stored in the marker: the check then waits until no more objects are removed. `seen` is the data set's
    state at this check, for the next check to compare.
    """
    key = _marker_key(data_set)
    delay = min(ceil(environment.quiet_seconds if wait is None else wait), MAX_DELAY)
    expires = now + environment.quiet_seconds + delay + EXPIRY_SLACK
    marker = {"data_set": data_set, "expires": expires, "armed_by": message_id, "removed": removed}
    held = s3_json.read(s3, environment.data_bucket, key)
    if held is None:
        placed = s3_json.create(s3, environment.data_bucket, key, marker) is not None
    elif held.content["expires"] <= now:
        placed = s3_json.replace(s3, environment.data_bucket, key, marker, etag=held.etag) is not None
    else:
        placed = held.content["armed_by"] == message_id
        if removed and not held.content.get("removed"):
            # If another event has changed the marker meanwhile, or the check deleted it, the check sees the removal.
            s3_json.replace(s3, environment.data_bucket, key, held.content | {"removed": True}, etag=held.etag)
    if not placed:
        return False
    body = {"headrace": "check", "data_set": data_set, "sent": now} | ({"seen": seen} if seen else {})
    try:
        sqs.send_message(QueueUrl=environment.queue_url, MessageBody=json.dumps(body), DelaySeconds=delay)
    except Exception:
        cancel(s3, environment, data_set)  # no check is scheduled, and a redriven message has another id
        raise
    log.info("check sent", data_set=data_set, delay=delay)
    return True


def cancel(s3: S3Client, environment: Environment, data_set: str) -> None:
    """Delete the marker, so that the next event schedules a check. Call it before listing the data set, never after."""
    s3.delete_object(Bucket=environment.data_bucket, Key=_marker_key(data_set))


def saw_removal(s3: S3Client, environment: Environment, data_set: str) -> bool:
    """Whether an object was removed since the check was scheduled. Call it before `cancel`."""
    held = s3_json.read(s3, environment.data_bucket, _marker_key(data_set))
    return bool(held and held.content.get("removed"))


def _marker_key(data_set: str) -> str:
    return f"quiet/{data_set}.json"
