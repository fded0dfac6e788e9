"""Jobs in a VPC of the environment's own: each of them, and none reaches anything but its channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline_definition.references import binding_list

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import VpcConfigTypeDef


def in_vpc(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step with its jobs, if it has any, in the VPC: isolated, and what passes between their instances encrypted.

    No index of packages is reached there. `entry.py` installs from the wheels of the code archive when there are any;
    the toolkits of AWS's images, which start a tuning's jobs and an endpoint, find them by pip's own variables.
    """
    arguments = step["Arguments"]
    match step["Type"]:
        case "Processing":
            more: dict[str, Any] = {"NetworkConfig": {**_isolation(), "VpcConfig": _vpc()}}
        case "Training":
            more = {**_isolation(), "VpcConfig": _vpc()}
        case "Tuning":
            job = arguments["TrainingJobDefinition"]
            where = {**_isolation(), "VpcConfig": _vpc(), "Environment": _wheels("/opt/ml/code")}
            more = {"TrainingJobDefinition": {**job, **where}}
        case "RegisterModel":
            (container,) = arguments["InferenceSpecification"]["Containers"]
            environment = container["Environment"] | _wheels("/opt/ml/model/code")
            served = {"Containers": [{**container, "Environment": environment}]}
            more = {"InferenceSpecification": {**arguments["InferenceSpecification"], **served}}
        case "Condition":
            more = {branch: [in_vpc(inner) for inner in arguments[branch]] for branch in ("IfSteps", "ElseSteps")}
        case _:
            more = {}
    return {**step, "Arguments": {**arguments, **more}}


def _isolation() -> dict[str, bool]:
    return {"EnableNetworkIsolation": True, "EnableInterContainerTrafficEncryption": True}


def _vpc() -> VpcConfigTypeDef:
    return {"SecurityGroupIds": binding_list("SecurityGroupIds"), "Subnets": binding_list("SubnetIds")}


def _wheels(code: str) -> dict[str, str]:
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{code}/wheels"}
