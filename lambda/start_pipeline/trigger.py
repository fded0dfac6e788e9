"""From a message to its effect: the function's flow on one page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from math import ceil
from typing import Any

from shared import log, notice_queue
from shared.errors import DefinitionError, OverBudgetError, RunLimitError
from start_pipeline.definition import parameters
from start_pipeline.definition.pipeline import publish
from start_pipeline.definition.rejection import reject_misnamed
from start_pipeline.environment import MAX_DELAY, Environment
from start_pipeline.messages import (
    Check,
    DataSetChanged,
    Ignored,
    Message,
    MisnamedDefinition,
    RunAgain,
    SourceUpdated,
    Unusable,
)
from start_pipeline.runs import waiting
from start_pipeline.runs.ledger import ExecutionInProgress, start_once
from start_pipeline.runs.run_limits import ConcurrencyLimitReached, Contended, send_notice
from start_pipeline.uploads import debounce, snapshot
from start_pipeline.uploads.checksums import SPARE_SECONDS, ChangedMeanwhile
from start_pipeline.uploads.listing import list_objects
from start_pipeline.uploads.plausibility import refuse_implausible
from start_pipeline.uploads.unusable import refuse_unusable

RUN_ENDS_SECONDS = 60.0  # between two checks of a data set whose earlier content is being processed
CONTENDED_SECONDS = 5.0  # until the next attempt, after other workers changed the list of starts
MIN_SECONDS = 60.0  # of the function's time for a check: listing 100,000 objects takes up to half of it


def act(
    message: Message,
    message_id: str,
    environment: Environment,
    client: Callable[[str], Any],
    *,
    now: float,
    seconds_left: Callable[[], float],
) -> None:
    """Carry out a message. `client` makes the clients, so that an S3 event costs no SageMaker client."""
    check = partial(run_if_quiet, environment=environment, client=client, now=now, seconds_left=seconds_left)
    match message:
        case Ignored(reason):
            log.info("ignored", reason=reason)
        case Unusable(key):
            refuse_unusable(client("s3"), environment, key, now=now)
        case DataSetChanged(data_set, removed):
            log.append_keys(data_set=data_set)
            s3, sqs = client("s3"), client("sqs")
            debounce.schedule(s3, sqs, environment, data_set, now=now, message_id=message_id, removed=removed)
            log.metric("upload", {"Uploads": 1})
        case SourceUpdated():
            for line in environment.of_every_line:
                publish(client("s3"), client("sqs"), client("sagemaker"), line)
        case MisnamedDefinition(key, removed):
            reject_misnamed(client("s3"), client("sqs"), environment, key, removed=removed)
        case Check(data_set, seen):
            vanishing = debounce.saw_removal(client("s3"), environment, data_set) or bool(seen)
            debounce.cancel(client("s3"), environment, data_set)

            def check_again(wait: float, state: str = "") -> None:
                s3, sqs = client("s3"), client("sqs")
                debounce.schedule(s3, sqs, environment, data_set, now=now, message_id=message_id, wait=wait, seen=state)

            check(data_set, again=check_again, seen=seen if vanishing else None)
        case RunAgain(data_set, asked, chosen):

            def ask_again(wait: float, state: str = "") -> None:
                more = {"parameters": dict(chosen)} if chosen else {}
                body = json.dumps({"headrace": "run-again", "data_set": data_set, "asked": asked, **more})
                client("sqs").send_message(
                    QueueUrl=environment.queue_url, MessageBody=body, DelaySeconds=min(ceil(wait), MAX_DELAY)
                )

            check(data_set, again=ask_again, asked_by=asked, chosen=chosen)


def run_if_quiet(
    data_set: str,
    environment: Environment,
    client: Callable[[str], Any],
    *,
    now: float,
    seconds_left: Callable[[], float],
    again: Callable[..., None],
    asked_by: str | None = None,
    chosen: Mapping[str, str] | None = None,
    seen: str | None = None,
) -> None:
    """Start the data set's execution once, or schedule another check with `again(seconds)` until it can start.

    Another check follows while the upload goes on, while one call cannot fetch all checksums, and while an execution
    processes other content of the data set. It also follows during a deletion: `seen` is then the state after objects
    were removed, and no execution starts until the data set has the same state a quiet period later.

    To wait, the function never fails the message: that would use up its receives and dead-letter a valid upload.
    """
    environment = environment.of_data_set(data_set)
    log.append_keys(data_set=data_set, **({"line": environment.line} if environment.line else {}))
    if seconds_left() < MIN_SECONDS:  # the other messages of the batch have used the time
        log.info("to be continued", progress="not begun")
        return again(0.0, "unknown" if seen is not None else "")
    s3, bucket = client("s3"), environment.data_bucket
    objects = list_objects(s3, bucket, data_set)
    if not objects:
        log.info("ignored", reason="the data set is empty", data_set=data_set)
        return
    state = "" if seen is None else snapshot.state_of(objects)
    wait = environment.quiet_seconds - (now - max(listed.last_modified for listed in objects))
    if wait > 0:
        log.info("not quiet yet", data_set=data_set, wait=wait)
        again(wait, state and "unknown")  # first, so that the check is due on time
        spared = max(0.0, seconds_left() - wait - SPARE_SECONDS)
        return snapshot.prefetch(s3, bucket, data_set, objects, seconds_left=lambda: seconds_left() - spared)
    if state != (seen or ""):
        log.info("not quiet yet", data_set=data_set, vanished="objects were removed")
        return again(environment.quiet_seconds, state)
    try:
        taken = snapshot.take(s3, bucket, data_set, objects, seconds_left=seconds_left)
    except ChangedMeanwhile as changed:
        log.info("not quiet yet", data_set=data_set, changed=str(changed))
        return again(environment.quiet_seconds)
    except snapshot.ChecksumsIncomplete as progress:
        log.info("to be continued", data_set=data_set, progress=str(progress))
        return again(0.0)
    sagemaker = client("sagemaker")
    definition = publish(s3, client("sqs"), sagemaker, environment)
    if definition is None:  # the message goes to the dead-letter queue, from where a user can redrive it
        raise DefinitionError(
            f"no pipeline to run {data_set} with: {environment.definition_key} is refused and no pipeline exists",
            hint=f"see {environment.refusal_key}, upload a valid definition, then: headrace redrive",
        )
    chosen = chosen or {}
    parameters.check(definition, chosen)
    log.append_keys(fingerprint=taken.fingerprint)
    refuse_implausible(
        s3, bucket, data_set, taken.checksums, definition,
        image_kinds=environment.image_kinds, seconds_left=seconds_left,
    )  # fmt: skip
    try:
        execution = start_once(s3, sagemaker, environment, definition, taken, now=now, asked_by=asked_by, chosen=chosen)
    except ExecutionInProgress as under_way:
        log.info("waits for the run that is under way", execution=str(under_way))
        return again(RUN_ENDS_SECONDS)
    except Contended as reason:
        log.info("waits for its turn", reason=str(reason))
        return again(CONTENDED_SECONDS)
    except ConcurrencyLimitReached as full:
        # A check costs the same each time, and any number of data sets may wait.
        wait = max(RUN_ENDS_SECONDS, environment.quiet_seconds)
        waiting.note(s3, client("sqs"), environment, data_set, now=now, wait=wait)
        log.info("waits until fewer runs are under way", reason=str(full))
        return again(wait)
    except RunLimitError as refused:
        sqs, url = client("sqs"), environment.notices_queue_url
        send_notice(sqs, url, data_set, refused.setting, refused.limit, now=now, free=refused.free)
        waiting.forget(s3, environment, data_set)
        raise  # the message goes to the dead-letter queue, so that a person decides on more runs
    except OverBudgetError as refused:
        notice_queue.send(
            client("sqs"),
            environment.notices_queue_url,
            "budget",
            data_set=data_set,
            fingerprint=taken.fingerprint,
            estimated_cost=refused.estimated,
            max_run_cost=refused.limit,
            breakdown=refused.breakdown,
        )
        raise  # the message goes to the dead-letter queue; after a change of the limit a user redrives it
    waiting.forget(s3, environment, data_set)
    if execution is not None:
        waited = {} if asked_by else {"WaitSeconds": now - taken.newest_upload.timestamp()}
        log.metric("started", {"ExecutionsStarted": 1, **waited}, execution=execution)
