"""Fail step: ends the execution as Failed, with a message that may hold references."""

from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType


def _run(attempt: Attempt) -> Outcome:
    message = str(attempt.arguments.get("ErrorMessage", ""))[:3072]
    return Outcome(StepStatus.FAILED, metadata={"Fail": {"ErrorMessage": message}}, failure_reason=message or None)


TYPE = StepType(run=_run)
