"""Retry: whether a failed step is tried again, and after how long."""

from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Outcome
from pipeline_language.definition import RetryPolicy, Step

# AWS retries a throttled step without being asked, exponentially from one second.
_AUTOMATIC = RetryPolicy(frozenset({"Step.THROTTLING"}), interval=1.0, backoff=2.0, attempts=5, expires=None)


def pause_before_retry(step: Step, outcome: Outcome, number: int, elapsed: float) -> float | None:
    """Seconds until the next attempt of a failed step, or None when its retry policies ask for none.

    ``number`` is how often the step was retried already, ``elapsed`` the seconds since it began.
    """
    if outcome.status != StepStatus.FAILED:
        return None
    fault = _fault(outcome.failure_reason or "")
    named = any(fault in policy.exceptions for policy in step.retries)
    for policy in step.retries if named else (_AUTOMATIC,):
        if fault not in policy.exceptions:
            continue
        if policy.attempts is not None and number >= policy.attempts:
            continue
        pause = policy.interval * policy.backoff**number
        if policy.expires is not None and elapsed + pause > policy.expires:
            continue
        return pause
    return None


def _fault(reason: str) -> str | None:
    """The service fault that a failure stands for; a script that fails is none, whatever its message says."""
    if reason.startswith("AlgorithmError"):
        return None
    for sign, fault in (
        ("CapacityError", "SageMaker.CAPACITY_ERROR"),
        ("ResourceLimitExceeded", "SageMaker.RESOURCE_LIMIT"),
        ("ThrottlingException", "Step.THROTTLING"),
        ("(InternalFailure)", "Step.SERVICE_FAULT"),
        ("(ServiceUnavailable)", "Step.SERVICE_FAULT"),
        ("InternalServerError", "SageMaker.JOB_INTERNAL_ERROR"),
    ):
        if sign in reason:
            return fault
    return None
