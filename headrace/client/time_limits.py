"""Jobs that were stopped because their time was up: which setting said so, and how long they ran."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import DEFAULT_LINE, Environment
from headrace.client.executions import Step
from headrace.client.reasons import Reason
from headrace.errors import is_missing
from headrace.formats import duration

RUN, WAIT = "MaxRuntimeExceeded", "MaxWaitTimeExceeded"  # SageMaker's secondary statuses


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """`kind` is SageMaker's word, `setting` and `table` are the user's."""

    kind: str
    setting: str
    table: str
    limit: int
    ran: float | None

    def reason(self) -> Reason:
        ran = "" if self.ran is None else f" after {duration(self.ran)}"
        waited = ", the time for waiting included" if self.kind == WAIT else ""
        return Reason(
            f"the job was stopped{ran}: {self.setting} under [{self.table}] is {self.limit} s"
            f" ({duration(self.limit)}){waited} ({self.kind})",
            f"raise {self.setting} under [{self.table}] in environments.toml, or give the job less to do; then deploy",
        )


def find_time_limit(environment: Environment, step: Step) -> TimeLimit | None:
    """The limit that ended the job of a failed step; None if it ended for another reason, or is gone."""
    if step.job is None or step.job_kind not in ("TrainingJob", "ProcessingJob"):
        return None
    kind = step.job_kind.removesuffix("Job")
    client = environment.client("sagemaker")
    with environment.doing(f"reading the job {step.job}"):
        try:
            if kind == "Training":
                job = client.describe_training_job(TrainingJobName=step.job)
            else:
                job = client.describe_processing_job(ProcessingJobName=step.job)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
    line = "" if environment.line in (None, DEFAULT_LINE) else f".lines.{environment.line}"
    return limit_of(job, kind, f"{environment.name}{line}.pipeline")


def limit_of(job: dict[str, Any], kind: str, table: str) -> TimeLimit | None:
    """The same from the job's description."""
    limits = job.get("StoppingCondition", {})
    longest, wait = limits.get("MaxRuntimeInSeconds"), limits.get("MaxWaitTimeInSeconds")
    ran = _seconds(job.get(f"{kind}StartTime"), job.get(f"{kind}EndTime"))
    if kind == "Training":
        status = job.get("SecondaryStatus")
        ran = job.get("TrainingTimeInSeconds", ran)
    else:  # a processing job has no secondary status: it says so in its reason, or has run for all its time
        overdue = ran is not None and longest is not None and ran >= longest
        status = RUN if RUN in job.get("FailureReason", "") or (_stopped(job) and overdue) else None
    if status == RUN and longest is not None:
        return TimeLimit(RUN, "max_run_seconds", table, longest, ran)
    if status == WAIT and wait is not None:
        total = _seconds(job.get("CreationTime"), job.get("TrainingEndTime"))
        return TimeLimit(WAIT, "max_run_seconds + spot_wait_seconds", table, wait, total)
    return None


def _stopped(job: dict[str, Any]) -> bool:
    return bool(job.get("ProcessingJobStatus") == "Stopped")


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None
