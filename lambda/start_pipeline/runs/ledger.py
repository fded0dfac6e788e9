"""The ledger of started executions, so that each content is run once.

ledger/<run key>.json is written before the execution is started, and completed with its ARN afterwards. A worker that
finds an entry without an ARN first searches SageMaker's list for the attempt's execution. If there is none, it starts
the attempt with the same ClientRequestToken: SageMaker answers with the execution that this token has started. No
document says for how long SageMaker remembers a token. So the token covers two workers at the same time, and the list
covers a message that is received again hours after a crash. Neither starts a second execution.

ledger/latest/<data set>.json names the data set's last execution. While it runs, other content of the data set waits:
however often the content changes meanwhile, one more execution follows, with the latest content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared import log, s3_json
from shared.aws import S3Client, error_code
from shared.hashing import digest
from start_pipeline.environment import Environment
from start_pipeline.uploads.snapshot import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

MAX_DISPLAY_NAME = 82
RUNNING = frozenset({"Executing", "Stopping"})
START_DIGITS = 16  # of the run key in a start's name; there are a thousand starts at most
GONE = "Deleted"  # our status for an execution that SageMaker no longer lists


class ExecutionInProgress(Exception):
    """An execution processes other content of the data set: check again when it has ended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The ledger's entry of a run key; `newest_upload` in ISO 8601, `asked_by` the last run-again's request.

    `estimated_cost` is the attempt's maximum cost in USD; None where the environment sets no limit.
    """

    run_key: str
    data_set: str
    fingerprint: str
    attempt: int
    newest_upload: str
    execution_arn: str | None = None
    asked_by: str | None = None
    estimated_cost: float | None = None


def start_once(
    s3: S3Client,
    sagemaker: SageMakerClient,
    environment: Environment,
    definition: dict[str, Any],
    snapshot: Snapshot,
    *,
    now: float,
    asked_by: str | None = None,
    chosen: Mapping[str, str] | None = None,
) -> str | None:
    """Start the snapshot's execution, unless it was started before. Returns the new execution's ARN, or None.

    A failed or stopped execution is started again for a newer upload; any execution that has ended, for a `run-again`
    (`asked_by`). Parameters that are `chosen` for this run are part of its run key: without them it is another run.
    Raises ExecutionInProgress while an execution processes other content of the data set, BudgetError for a run that
    may cost too much, and what RunLimits.reserve raises. In these cases nothing is recorded, so the same message starts
    the execution once the limit allows it.
    """
    bucket = environment.data_bucket
    chosen = chosen or {}
    parameters = {"DataSet": snapshot.data_set, "Fingerprint": snapshot.fingerprint, **chosen}
    line = [environment.line] if environment.line else []  # the same content is run once in each line
    run_key = digest([definition, parameters, snapshot.fingerprint, *line])
    key = f"ledger/{run_key}.json"
    uploaded = snapshot.newest_upload.isoformat()
    stored = s3_json.read(s3, bucket, key)
    entry = Entry(**stored.content) if stored else None
    ended = entry is not None and entry.execution_arn is not None
    if entry and ended and not _may_restart(sagemaker, entry, snapshot.newest_upload, asked_by):
        return None
    _wait_for_other_content(s3, sagemaker, bucket, run_key, snapshot.data_set)
    begun = entry is not None and not ended  # an interrupted attempt, or one that another worker is starting
    attempt = 1 if entry is None else entry.attempt + ended
    cost = None if begun else _approved_cost(environment, definition, parameters)
    start = _start_name(run_key, attempt)
    environment.limits.reserve(
        s3, bucket, start, snapshot.data_set, now=now, begun=begun,
        is_running=lambda arn: _status(sagemaker, arn) in RUNNING,
    )  # fmt: skip
    etag: str | None
    if stored is None or entry is None:
        entry = Entry(run_key, snapshot.data_set, snapshot.fingerprint, attempt, uploaded, None, asked_by, cost)
        etag = s3_json.create(s3, bucket, key, asdict(entry))
    elif ended:
        asked_by = asked_by or entry.asked_by
        entry = Entry(run_key, entry.data_set, entry.fingerprint, attempt, uploaded, None, asked_by, cost)
        etag = s3_json.replace(s3, bucket, key, asdict(entry), etag=stored.etag)
    else:
        etag = stored.etag
    if etag is None:
        log.info("another worker starts this attempt", run_key=run_key, attempt=entry.attempt)
        return None
    found = _started_before(sagemaker, environment.pipeline_name, entry, chosen) if begun else None
    arn = found or _start(sagemaker, environment.pipeline_name, parameters, entry, chosen)
    latest = {"data_set": snapshot.data_set, "run_key": run_key, "execution_arn": arn}
    s3_json.write(s3, bucket, _latest_key(snapshot.data_set), latest)
    # A worker that changed the entry meanwhile used the same token, so it wrote the same ARN.
    s3_json.replace(s3, bucket, key, asdict(replace(entry, execution_arn=arn)), etag=etag)
    environment.limits.confirm(s3, bucket, start, arn)
    started = {"data_set": entry.data_set, "attempt": entry.attempt, "estimated_cost": entry.estimated_cost}
    log.info("execution started", execution=arn, run_key=run_key, **started)
    return arn


def _approved_cost(
    environment: Environment, definition: Mapping[str, Any], parameters: Mapping[str, str]
) -> float | None:
    """Asked once an attempt, before it is recorded: one that was broken off may have started already."""
    budget = environment.budget
    return None if budget is None else round(budget.approve(definition, parameters).total, 4)


def _wait_for_other_content(s3: S3Client, sagemaker: SageMakerClient, bucket: str, run_key: str, data_set: str) -> None:
    latest = s3_json.read(s3, bucket, _latest_key(data_set))
    if latest is None or latest.content["run_key"] == run_key:
        return
    execution_arn = latest.content["execution_arn"]
    if _status(sagemaker, execution_arn) in RUNNING:
        raise ExecutionInProgress(execution_arn)


def _latest_key(data_set: str) -> str:
    return f"ledger/latest/{data_set}.json"


def _may_restart(sagemaker: SageMakerClient, entry: Entry, newest_upload: datetime, asked_by: str | None) -> bool:
    assert entry.execution_arn is not None
    status = _status(sagemaker, entry.execution_arn)
    if status in RUNNING:
        reason = "it is under way"
    elif asked_by is not None:
        if asked_by != entry.asked_by:
            return True
        reason = "this very request has started it"
    elif status == "Succeeded":
        reason = "this content has been run"
    elif newest_upload > datetime.fromisoformat(entry.newest_upload):
        return True
    else:
        reason = "nothing was uploaded since; upload again or ask with run-again"
    log.info("not started", reason=reason, execution=entry.execution_arn, status=status, data_set=entry.data_set)
    return False


def _status(sagemaker: SageMakerClient, execution_arn: str) -> str:
    try:
        answer = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution_arn)
    except ClientError as error:
        if error_code(error) == "ResourceNotFound":
            return GONE
        raise
    return answer["PipelineExecutionStatus"]


def _start_name(run_key: str, attempt: int) -> str:
    return f"{run_key[:START_DIGITS]}-{attempt}"


def _started_before(
    sagemaker: SageMakerClient, pipeline_name: str, entry: Entry, chosen: Mapping[str, str]
) -> str | None:
    """The execution that an interrupted worker has started for this attempt; None if there is none.

    Runs of the same content with another definition have the same display name, but another description.
    """
    name, start = _display_name(entry, chosen), _start_name(entry.run_key, entry.attempt)
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=pipeline_name, CreatedAfter=datetime.fromisoformat(entry.newest_upload)
    )
    for page in pages:
        for summary in page["PipelineExecutionSummaries"]:
            description = summary.get("PipelineExecutionDescription", "")
            if summary.get("PipelineExecutionDisplayName") == name and description.endswith(f"; start {start}"):
                arn: str = summary["PipelineExecutionArn"]
                log.info("the attempt was started before", execution=arn, run_key=entry.run_key)
                return arn
    return None


def _start(
    sagemaker: SageMakerClient,
    pipeline_name: str,
    parameters: Mapping[str, str],
    entry: Entry,
    chosen: Mapping[str, str],
) -> str:
    cost = entry.estimated_cost
    said = "no limit on its cost" if cost is None else f"costs at most {cost} USD"
    answer = sagemaker.start_pipeline_execution(
        PipelineName=pipeline_name,
        PipelineExecutionDisplayName=_display_name(entry, chosen),
        # `headrace runs` reads the cost here, and Studio shows it. `_started_before` reads the name of the start.
        PipelineExecutionDescription=f"{said}; start {_start_name(entry.run_key, entry.attempt)}",
        PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items()],
        ClientRequestToken=digest([entry.run_key, entry.attempt]),
    )
    return answer["PipelineExecutionArn"]


def _display_name(entry: Entry, chosen: Mapping[str, str]) -> str:
    """birds-zip-0123abcd, then birds-zip-0123abcd-2 for the second attempt: letters, digits and inner hyphens only.

    Chosen parameters add their hash: a run of the same content without them has the same fingerprint.
    """
    other = f"-{digest(dict(chosen))[:4]}" if chosen else ""
    end = f"-{entry.fingerprint[:8]}{other}" + (f"-{entry.attempt}" if entry.attempt > 1 else "")
    name = re.sub("[^a-zA-Z0-9]+", "-", entry.data_set).strip("-")[: MAX_DISPLAY_NAME - len(end)].strip("-")
    return (name or "data") + end
