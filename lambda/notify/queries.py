"""Read the facts of a notice from AWS: a run's failed steps with the end of their logs, and a version's metrics.

These functions only read. Facts that do not exist (a log, an evaluation, a deleted version) are left out of the notice.
A denied call raises, because a permission is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from notify.reasons import Reason, read_reason
from shared.aws import NOT_FOUND, S3Client, error_code, says

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import PipelineExecutionStepTypeDef

LogsClient: TypeAlias = Any

ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LOG_LINES = 20
MAX_LINE = 200  # characters
MAX_LOGS = 2  # failed steps whose logs are quoted
LOG_GROUPS = {"TrainingJob": "/aws/sagemaker/TrainingJobs", "ProcessingJob": "/aws/sagemaker/ProcessingJobs"}
EVALUATION_OUTPUT, EVALUATION_FILE = "evaluation", "evaluation.json"


@dataclass(frozen=True, slots=True)
class FailedStep:
    """`job` is the name of the step's job, `log` the last lines of its log."""

    name: str
    reason: Reason
    refuses: bool = False  # whether it is a Fail step: the model was refused, and nothing is broken
    job: str | None = None
    job_kind: str | None = None
    log_group: str | None = None
    log_stream: str | None = None
    log: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Run:
    """An execution that has ended. `evaluation` is its evaluation.json, empty if there is none."""

    arn: str
    display_name: str
    reason: str
    parameters: Mapping[str, str]
    failed: list[FailedStep]
    champion: str | None  # the ARN of the version that the candidates had to beat
    evaluation: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version and its metadata."""

    arn: str
    number: int
    approval: str
    recorded: Mapping[str, str]
    execution_arn: str | None

    @property
    def accuracy(self) -> str:
        """The accuracy with four decimals, as the command line shows it."""
        value = self.recorded.get("Accuracy", "not recorded")
        try:
            return f"{float(value):.4f}"
        except ValueError:
            return value


def read_run(sagemaker: SageMakerClient, logs: LogsClient, s3: S3Client, arn: str, *, bucket: str, table: str) -> Run:
    """Read an execution that has ended. `table` is the table with the pipeline's settings.

    The evaluation is read only after a model was refused, and only from `bucket`: the role may read runs/ there.
    """
    described = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(PipelineExecutionArn=arn)
    steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
    answer = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn, MaxResults=50)
    broken = sorted(
        (step for step in steps if step.get("StepStatus") == "Failed"), key=lambda step: str(step.get("StartTime", ""))
    )
    where = (table, arn.split(":")[3])
    failed = [_failed(sagemaker, logs, step, where, quoted=number < MAX_LOGS) for number, step in enumerate(broken)]
    return Run(
        arn=arn,
        display_name=described.get("PipelineExecutionDisplayName") or arn.rpartition("/")[2],
        reason=described.get("FailureReason", ""),
        parameters={item["Name"]: item["Value"] for item in answer.get("PipelineParameters", [])},
        failed=failed,
        champion=_champion(steps),
        evaluation=_evaluation(sagemaker, s3, steps, bucket) if any(step.refuses for step in failed) else {},
    )


def read_version(sagemaker: SageMakerClient, arn: str) -> Version | None:
    """Read a version. None: it was deleted."""
    try:
        package = sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if says(error, "does not exist") or says(error, "could not find") or says(error, "cannot find"):
            return None
        raise
    recorded = package.get("CustomerMetadataProperties", {})
    return Version(
        arn=arn,
        number=package.get("ModelPackageVersion", 0),
        approval=package.get("ModelApprovalStatus", "PendingManualApproval"),
        recorded=recorded,
        execution_arn=recorded.get("PipelineExecutionArn") or package.get("MetadataProperties", {}).get("GeneratedBy"),
    )


def _failed(
    sagemaker: SageMakerClient,
    logs: LogsClient,
    step: PipelineExecutionStepTypeDef,
    where: tuple[str, str],
    *,
    quoted: bool,
) -> FailedStep:
    """`where` is the table of the pipeline's settings, and the region."""
    metadata: Mapping[str, Any] = step.get("Metadata", {})
    refusal = metadata.get("Fail", {}).get("ErrorMessage")
    said = "\n".join(map(_readable, (refusal or step.get("FailureReason") or "").splitlines()))
    kind = next((kind for kind in LOG_GROUPS if kind in metadata), None)
    if kind is None:
        reason, function = read_reason(said, None, *where), metadata.get("Lambda", {}).get("Arn")
        if function is None:
            return FailedStep(step["StepName"], reason, refuses="Fail" in metadata)
        return FailedStep(step["StepName"], reason, job=function.split(":")[6], job_kind="Lambda")
    job, group = metadata[kind]["Arn"].rpartition("/")[2], LOG_GROUPS[kind]
    reason = read_reason(said, _describe(sagemaker, kind, job), *where)
    stream = _newest_stream(logs, group, f"{job}/") if quoted else None
    lines = [] if stream is None else _last_lines(logs, group, stream)
    lines = [line for line in lines if not reason.says(line)]
    return FailedStep(step["StepName"], reason, False, job, kind, group, stream, lines)


def _describe(sagemaker: SageMakerClient, kind: str, job: str) -> Mapping[str, Any] | None:
    """The description of the job; None if the job does not exist."""
    try:
        if kind == "TrainingJob":
            return sagemaker.describe_training_job(TrainingJobName=job)
        return sagemaker.describe_processing_job(ProcessingJobName=job)
    except ClientError as error:
        if error_code(error) == "ResourceNotFound" or says(error, "not found") or says(error, "could not find"):
            return None
        raise


def _newest_stream(logs: LogsClient, group: str, prefix: str) -> str | None:
    """The log stream with the newest line. A job has one per instance; the instance that failed usually wrote last."""
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    except ClientError as error:
        if error_code(error) == "ResourceNotFoundException":  # no job has written there yet
            return None
        raise
    newest = max(streams, key=lambda stream: stream.get("lastEventTimestamp", 0), default=None)
    return None if newest is None else str(newest["logStreamName"])


def _last_lines(logs: LogsClient, group: str, stream: str) -> list[str]:
    answer = logs.get_log_events(logGroupName=group, logStreamName=stream, limit=LOG_LINES, startFromHead=False)
    return [_readable(event["message"])[:MAX_LINE] for event in answer["events"]]


def _readable(line: str) -> str:
    """The line without colours and control characters."""
    return "".join(character for character in ESCAPES.sub("", line).rstrip() if character.isprintable())


def _champion(steps: list[PipelineExecutionStepTypeDef]) -> str | None:
    """FindChampion's answer: the output ModelPackageArn of a Lambda step, which is "none" without a champion."""
    for step in steps:
        outputs: Any = step.get("Metadata", {}).get("Lambda", {}).get("OutputParameters", [])
        for output in outputs:
            if output["Name"] == "ModelPackageArn" and output["Value"] not in ("", "none"):
                return str(output["Value"])
    return None


def _evaluation(
    sagemaker: SageMakerClient, s3: S3Client, steps: list[PipelineExecutionStepTypeDef], bucket: str
) -> Mapping[str, Any]:
    """evaluation.json of the newest processing job that has an output named evaluation."""
    for step in sorted(steps, key=lambda step: str(step.get("StartTime", "")), reverse=True):
        arn = step.get("Metadata", {}).get("ProcessingJob", {}).get("Arn")
        if arn is None or step.get("StepStatus") != "Succeeded":
            continue
        job = sagemaker.describe_processing_job(ProcessingJobName=arn.rpartition("/")[2])
        for output in job.get("ProcessingOutputConfig", {}).get("Outputs", []):
            place = urlsplit(output["S3Output"]["S3Uri"])
            if output["OutputName"] == EVALUATION_OUTPUT and place.netloc == bucket and place.path.startswith("/runs/"):
                return _read_json(s3, bucket, f"{place.path.strip('/')}/{EVALUATION_FILE}")
    return {}


def _read_json(s3: S3Client, bucket: str, key: str) -> Mapping[str, Any]:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error_code(error) in NOT_FOUND:
            return {}
        raise
    report = json.loads(answer["Body"].read())
    return report if isinstance(report, dict) else {}
