"""The step types that run here, in one table. A further type is one more file and one more line."""

from local_cloud.sagemaker.pipelines.steps import condition, fail, lambda_, processing, register_model, training
from local_cloud.sagemaker.pipelines.steps.step_type import StepType

STEP_TYPES: dict[str, StepType] = {
    "Condition": condition.TYPE,
    "Fail": fail.TYPE,
    "Lambda": lambda_.TYPE,
    "Processing": processing.TYPE,
    "RegisterModel": register_model.TYPE,
    "Training": training.TYPE,
}
