"""EndpointConfig step: an endpoint configuration, under the name that the step gives."""

from local_cloud.sagemaker.pipelines.steps import create_resource
from local_cloud.sagemaker.pipelines.steps.step_type import StepType

TYPE = StepType(
    run=lambda attempt: create_resource.run(
        attempt, "EndpointConfig", attempt.arguments.get("EndpointConfigName") or attempt.job_name(None)
    ),
    request="CreateEndpointConfig",
    generated=("EndpointConfigName",),
    describe="DescribeEndpointConfig",
)
