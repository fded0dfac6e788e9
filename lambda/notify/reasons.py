"""Parse a failed step's reason: the message, the hint, the exit code, and the setting of a time limit or quota."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from notify.links import quota_link

EXIT_CODE = re.compile(r",? ?exit code: (-?\d+)\s*$", re.IGNORECASE)
HINT = re.compile(r"\s*\bhint:\s*", re.IGNORECASE)
KINDS = re.compile(r"^(?:AlgorithmError|ClientError|InternalServerError): ?")
NO_MESSAGE = ("", "See job logs for more information")
QUOTA = re.compile(
    r"service limit '(?P<name>[^']+)' is (?P<limit>[0-9.]+) \w+, with current utilization of (?P<used>[0-9.]+) \w+ "
    r"and a request delta of (?P<asked>[0-9.]+)"
)
KILLED = 137  # 128 + SIGKILL
RUN, WAIT = "MaxRuntimeExceeded", "MaxWaitTimeExceeded"  # SageMaker's secondary statuses


@dataclass(frozen=True, slots=True)
class Reason:
    text: str
    hint: str | None = None
    exit_code: int | None = None
    quota: str | None = None  # the account's quota that refused the job

    def says(self, line: str) -> bool:
        """Whether a line of the log repeats the reason."""
        said = line.strip()
        parts = [part for part in (*self.text.splitlines(), self.hint or "") if len(part) > 15]
        return len(said) >= 8 and (said in f"{self.text}\nhint: {self.hint}" or any(part in said for part in parts))


def read_reason(said: str, job: Mapping[str, Any] | None, table: str, region: str) -> Reason:
    """Parse SageMaker's `AlgorithmError: <the job's message>, exit code: 1`, or name the time limit that ended the job.

    `job` is the job's description, `table` the table of environments.toml with its settings.
    """
    if quota := QUOTA.search(said):
        return _quota(quota, table, region)
    limited = None if job is None else _time_limit(job, table)
    if limited is not None:
        return limited
    found = EXIT_CODE.search(said)
    code = int(found[1]) if found else None
    text = KINDS.sub("", said[: found.start()] if found else said).strip()
    if code == KILLED and text in NO_MESSAGE:
        return Reason(
            "the process was killed (SIGKILL), which is what happens when an instance runs out of memory",
            f"take an instance type with more memory, or a smaller batch_size, under [{table}]; then deploy",
            code,
        )
    text, *hints = HINT.split(text)
    return Reason(text.strip() or "SageMaker gives no reason", " ".join(hints).strip() or None, code)


def _quota(found: re.Match[str], table: str, region: str) -> Reason:
    """Parse the message of ResourceLimitExceeded: aws/amazon-sagemaker-examples#307."""
    name, limit, used, asked = found["name"], found["limit"], found["used"], found["asked"]
    return Reason(
        f"the account's quota {name!r} in {region} is {limit} instances: {used} are in use, and {asked} more are asked "
        "for (ResourceLimitExceeded)",
        f"ask AWS for more: {quota_link(region)} (search there for the name); or choose an instance type under "
        f"[{table}] in environments.toml that the account has a quota for, and deploy",
        quota=name,
    )


def _time_limit(job: Mapping[str, Any], table: str) -> Reason | None:
    limits = job.get("StoppingCondition", {})
    longest, wait = limits.get("MaxRuntimeInSeconds"), limits.get("MaxWaitTimeInSeconds")
    status, ran = job.get("SecondaryStatus"), job.get("TrainingTimeInSeconds")
    if "ProcessingJobStatus" in job:  # it has no secondary status
        ran = _seconds(job, "ProcessingStartTime", "ProcessingEndTime")
        overdue = job["ProcessingJobStatus"] == "Stopped" and ran is not None and longest and ran >= longest
        status = RUN if overdue or RUN in job.get("FailureReason", "") else None
    if status == RUN and longest:
        return _limit("max_run_seconds", longest, ran, table, RUN)
    if status == WAIT and wait:
        total = _seconds(job, "CreationTime", "TrainingEndTime")
        return _limit("max_run_seconds + spot_wait_seconds", wait, total, table, WAIT)
    return None


def _limit(setting: str, allowed: int, ran: float | None, table: str, kind: str) -> Reason:
    after = "" if ran is None else f" after {ran:.0f} s"
    return Reason(
        f"the job was stopped{after}: {setting} under [{table}] is {allowed} s ({kind})",
        f"raise {setting} under [{table}] in environments.toml, or give the job less to do; then deploy",
    )


def _seconds(job: Mapping[str, Any], start: str, end: str) -> float | None:
    return (job[end] - job[start]).total_seconds() if start in job and end in job else None
