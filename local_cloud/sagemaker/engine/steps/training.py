"""Training step: a training job."""

from typing import Any

from local_cloud.sagemaker.engine.steps import job
from local_cloud.sagemaker.engine.steps.kind import Attempt, Outcome, StepType


def _run(attempt: Attempt) -> Outcome:
    return job.run(attempt, "Training")


def _stop(attempt: Attempt, metadata: dict[str, Any]) -> None:
    job.stop(attempt, metadata, "Training")


TYPE = StepType(
    run=_run,
    stop=_stop,
    request="CreateTrainingJob",
    supplied=("TrainingJobName",),
    describe="DescribeTrainingJob",
    cache_key=(
        "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "Environment",
        "HyperParameters", "InputDataConfig",
    ),
)  # fmt: skip
