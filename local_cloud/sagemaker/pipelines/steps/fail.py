"""Fail step: ends the execution as Failed, with a message that may hold references."""

from collections.abc import Iterator

from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType
from pipeline_language.definition import Step
from pipeline_language.members import unknown_members


def _run(attempt: Attempt) -> Outcome:
    message = str(attempt.arguments.get("ErrorMessage", ""))[:3072]
    return Outcome(StepStatus.FAILED, metadata={"Fail": {"ErrorMessage": message}}, failure_reason=message or None)


def _problems(step: Step) -> Iterator[str]:
    for problem in unknown_members(step.arguments, ("ErrorMessage",)):
        yield f"Arguments: {problem}"


TYPE = StepType(run=_run, check=_problems)
