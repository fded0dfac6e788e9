"""Processing step: a processing job."""

from typing import Any

from local_cloud.sagemaker.engine.steps import job
from local_cloud.sagemaker.engine.steps.kind import Attempt, Outcome, StepType


def _run(attempt: Attempt) -> Outcome:
    return job.run(attempt, "Processing")


def _stop(attempt: Attempt, metadata: dict[str, Any]) -> None:
    job.stop(attempt, metadata, "Processing")


TYPE = StepType(
    run=_run,
    stop=_stop,
    request="CreateProcessingJob",
    supplied=("ProcessingJobName",),
    describe="DescribeProcessingJob",
    cache_key=("AppSpecification", "Environment", "ProcessingInputs"),
)
