"""Model step: a model, under a name of the engine's own; a ModelName is the prefix of it, as with jobs."""

from local_cloud.sagemaker.pipelines.steps import create_resource
from local_cloud.sagemaker.pipelines.steps.step_type import StepType

TYPE = StepType(
    run=lambda attempt: create_resource.run(attempt, "Model", attempt.job_name(attempt.arguments.get("ModelName"))),
    request="CreateModel",
    generated=("ModelName",),
    describe="DescribeModel",
)
