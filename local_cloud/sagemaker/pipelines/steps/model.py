"""Model step: a model, under a name of the engine's own; a ModelName is the prefix of it, as with jobs."""

from local_cloud.sagemaker.pipelines.steps import made
from local_cloud.sagemaker.pipelines.steps.step_type import StepType

TYPE = StepType(
    run=lambda attempt: made.run(attempt, "Model", attempt.job_name(attempt.arguments.get("ModelName"))),
    request="CreateModel",
    generated=("ModelName",),
    describe="DescribeModel",
)
