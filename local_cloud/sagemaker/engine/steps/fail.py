"""Fail step: ends the execution as Failed, with a message that may hold references."""

from local_cloud.sagemaker.engine.steps.kind import Attempt, Outcome, StepType


def _run(attempt: Attempt) -> Outcome:
    message = str(attempt.arguments.get("ErrorMessage", ""))[:3072]
    return Outcome("Failed", metadata={"Fail": {"ErrorMessage": message}}, failure_reason=message or None)


TYPE = StepType(run=_run)
