"""The step types that run on AWS only: their form is checked when a pipeline is created, and its start names them."""

from collections.abc import Callable, Iterator

from local_cloud.sagemaker.pipelines.steps.outputs import output_problems
from local_cloud.sagemaker.pipelines.steps.step_type import StepType
from pipeline_language.definition import Step
from pipeline_language.members import unknown_members


def _arguments(*members: str, one_of: tuple[str, str]) -> Callable[[Step], Iterator[str]]:
    """A check of ``Arguments`` without an API call: which members there are, and of which two one is given."""

    def problems(step: Step) -> Iterator[str]:
        yield from (f"Arguments: {problem}" for problem in unknown_members(step.arguments, (*members, *one_of)))
        if len(step.arguments.keys() & set(one_of)) != 1:
            yield f"Arguments needs exactly one of {' and '.join(one_of)}."

    return problems


def _callback_problems(step: Step) -> Iterator[str]:
    if "SqsQueueUrl" not in step.extra:
        yield "it has no SqsQueueUrl."
    yield from output_problems(step)


def _call(request: str, describe: str | None, *generated: str, properties: tuple[str, ...] = ()) -> StepType:
    return StepType(run=None, request=request, generated=generated, describe=describe, properties=properties)


_ANY = StepType(run=None)
_BASELINES = tuple(
    f"{origin}{file}"
    for origin in ("CalculatedBaseline", "BaselineUsedForDriftCheck")
    for file in ("Constraints", "Statistics")
)
_CHECK = _call("CreateProcessingJob", None, "ProcessingJobName", properties=_BASELINES)

TYPES: dict[str, StepType] = {
    "Athena": _ANY,
    "AutoML": _call("CreateAutoMLJob", "DescribeAutoMLJob", "AutoMLJobName", properties=("BestCandidateProperties",)),
    "BedrockCustomModel": _call("bedrock:CreateCustomModel", "bedrock:GetCustomModel"),
    "BedrockCustomModelDeployment": _call("bedrock:CreateCustomModelDeployment", "bedrock:GetCustomModelDeployment"),
    "BedrockModelImport": _call("bedrock:CreateModelImportJob", "bedrock:GetModelImportJob"),
    "BedrockProvisionedModelThroughput": _call(
        "bedrock:CreateProvisionedModelThroughput", "bedrock:GetProvisionedModelThroughput"
    ),
    "Callback": StepType(run=None, check=_callback_problems, properties=("OutputParameters",)),
    "ClarifyCheck": _CHECK,
    "Cleanup": _ANY,
    "EMR": StepType(
        run=None, check=_arguments("StepConfig", "ExecutionRoleArn", one_of=("ClusterId", "ClusterConfig"))
    ),
    "EMRServerless": StepType(
        run=None, check=_arguments("JobConfig", "ExecutionRoleArn", one_of=("ApplicationId", "ApplicationConfig"))
    ),
    "ForEach": _ANY,
    "HubContent": _ANY,
    "InferenceComponent": _call("CreateInferenceComponent", "DescribeInferenceComponent", "InferenceComponentName"),
    "Job": _call("CreateJob", "DescribeJob", "JobName"),
    "Lineage": _ANY,
    "QualityCheck": _CHECK,
    "Transform": _call("CreateTransformJob", "DescribeTransformJob", "TransformJobName"),
    "Tuning": _call(
        "CreateHyperParameterTuningJob",
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        properties=("TrainingJobSummaries",),  # of ListTrainingJobsForHyperParameterTuningJob
    ),
}
