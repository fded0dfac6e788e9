"""The small language in which steps refer to what is known later.

Two kinds of thing are known later. A *reference* is resolved by SageMaker while an execution runs (`{"Get": ...}`,
`{"Std:Join": ...}`, `{"Std:JsonGet": ...}`); a *binding* (`${headrace:Name}`) is replaced by the environment's value
before the definition reaches SageMaker, so that one portable file serves every account.

References return `Any`, because they stand wherever the SageMaker API wants a string or a number.
"""

from __future__ import annotations

from typing import Any

BINDING_NAMES = frozenset(
    {
        "Account",
        "CodeHash",
        "CodeUri",
        "DataBucket",
        "DataKeyArn",
        "FindChampionFunctionArn",
        "InferenceImage",
        "JobRoleArn",
        "ModelApprovalStatus",
        "ModelPackageGroupName",
        "PipelineName",
        "PipelineRoleArn",
        "ProcessingImage",
        "Region",
        "StoreModelFunctionArn",
        "TrainingImage",
    }
)
"""Every name that a definition may ask for; the environment's stack supplies exactly these.

With a script behind them, `CodeUri/train.py` and `CodeHash/train.py`, two of them stand for what it needs of the code.
"""

LIST_BINDING_NAMES = frozenset({"SecurityGroupIds", "SubnetIds"})
"""Names that stand for several values; supplied where jobs run in a VPC."""


def binding(name: str) -> str:
    """A value that the environment supplies when the pipeline is created or updated."""
    assert name in BINDING_NAMES, f"no environment binds {name!r}"
    return "${headrace:" + name + "}"


def code_uri(script: str) -> str:
    """The archive of what that script of the code needs; its address changes when one of those files does."""
    return "${headrace:CodeUri/" + script + "}"


def code_hash(script: str) -> str:
    """The address of what that script of the code needs."""
    return "${headrace:CodeHash/" + script + "}"


def binding_list(name: str) -> list[str]:
    """Values that the environment supplies: they take the place of this list's one item."""
    assert name in LIST_BINDING_NAMES, f"no environment binds {name!r} to several values"
    return ["${headrace:" + name + "}"]


def parameter(name: str) -> Any:
    return {"Get": f"Parameters.{name}"}


def execution(name: str) -> Any:
    """A fact of the running execution, for example `PipelineExecutionId`."""
    return {"Get": f"Execution.{name}"}


def step(name: str, path: str) -> Any:
    """A property of a step: a path into the response of its Describe call, lists addressed by name where AWS does."""
    return {"Get": f"Steps.{name}.{path}"}


def processing_output(name: str, output: str) -> Any:
    """The S3 URI of one output of a processing step; of the step that was reused, when the step is a cache hit."""
    return step(name, f"ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri")


def lambda_output(name: str, key: str) -> Any:
    return step(name, f"OutputParameters['{key}']")


def join(*values: Any, on: str = "") -> Any:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def text(value: Any) -> Any:
    """A number as a string, as container arguments and hyperparameters have to be."""
    return join(value)


def json_get(name: str, property_file: str, path: str) -> Any:
    """A value inside a JSON file that a processing step wrote and declared as a property file."""
    return {"Std:JsonGet": {"PropertyFile": {"Get": f"Steps.{name}.PropertyFiles.{property_file}"}, "Path": path}}
