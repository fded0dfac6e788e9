"""Every step type, in one table. A further type that runs here is one more file and one more line."""

from local_cloud.sagemaker.pipelines.steps import (
    condition,
    endpoint,
    endpoint_config,
    fail,
    lambda_,
    model,
    on_aws_only,
    processing,
    register_model,
    training,
)
from local_cloud.sagemaker.pipelines.steps.step_type import StepType

STEP_TYPES: dict[str, StepType] = {
    "Condition": condition.TYPE,
    "Endpoint": endpoint.TYPE,
    "EndpointConfig": endpoint_config.TYPE,
    "Fail": fail.TYPE,
    "Lambda": lambda_.TYPE,
    "Model": model.TYPE,
    "Processing": processing.TYPE,
    "RegisterModel": register_model.TYPE,
    "Training": training.TYPE,
    **on_aws_only.TYPES,
}
