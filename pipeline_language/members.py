"""The members that each object of a definition may have, and the words for a value or a member that is wrong."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

DEFINITION = ("Version", "Metadata", "Parameters", "PipelineExperimentConfig", "MlflowConfig", "Steps")
PARAMETER = ("Name", "Type", "Description", "DefaultValue", "EnumValues")
STEP = (
    "Name", "Type", "DisplayName", "Description", "DependsOn", "Arguments", "CacheConfig", "RetryPolicies",
    "PropertyFiles",
)  # fmt: skip
CACHE = ("Enabled", "ExpireAfter")
RETRY = ("ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin")
PROPERTY_FILE = ("PropertyFileName", "OutputName", "FilePath")
DEPENDENCY = ("Step", "Trigger")
OUTPUT_PARAMETER = ("OutputName", "OutputType")

_CHECK = (
    "CheckType", "ModelPackageGroupName", "SkipCheck", "FailOnViolation", "RegisterNewBaseline",
    "SuppliedBaselineConstraints",
)  # fmt: skip

# Every step type of SageMaker Pipelines, with its members beside Arguments. Source: the SDK's StepTypeEnum and the
# to_request of its steps (sagemaker-mlops 1.27), and botocore's PipelineExecutionStepMetadata; for Athena, Cleanup and
# HubContent neither has any, so theirs are not checked (None).
STEP_TYPES: Mapping[str, tuple[str, ...] | None] = {
    "Athena": None,
    "AutoML": (),
    "BedrockCustomModel": (),
    "BedrockCustomModelDeployment": (),
    "BedrockModelImport": (),
    "BedrockProvisionedModelThroughput": (),
    "Callback": ("SqsQueueUrl", "OutputParameters"),
    "ClarifyCheck": _CHECK,
    "Cleanup": None,
    "Condition": (),
    "EMR": (),
    "EMRServerless": (),
    "Endpoint": (),
    "EndpointConfig": (),
    "Fail": (),
    "ForEach": None,
    "HubContent": None,
    "InferenceComponent": (),
    "Job": (),
    "Lambda": ("FunctionArn", "OutputParameters"),
    "Lineage": None,
    "Model": (),
    "Processing": (),
    "QualityCheck": (*_CHECK, "SuppliedBaselineStatistics"),
    "RegisterModel": (),
    "Training": (),
    "Transform": (),
    "Tuning": (),
}


_FEW = 12  # names that a message may list


def unknown_members(item: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """What is said of each member that is none of ``known``."""
    for name in item:
        if name not in known:
            yield f"unknown member '{name}'; {suggestion(name, known)}"


def suggestion(name: str, known: Collection[str]) -> str:
    """The names that ``name`` may stand for: the one most like it, or the first few when none is."""
    if near := get_close_matches(name, known, n=1):
        return f"did you mean '{near[0]}'?"
    few = [*list(known)[:_FEW], *(["…"] if len(known) > _FEW else [])]
    return f"known are {', '.join(few)}." if known else "there are none."


def shown(value: Any) -> str:
    """A value as the definition has it, cut when it is long; text in single quotes."""
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
