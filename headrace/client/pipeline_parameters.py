"""The parameters of the environment's pipeline that one run may choose: `headrace run --set Epochs=3`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.errors import NotFound, UsageError, is_missing

OWN = frozenset({"DataSet", "Fingerprint"})  # say which content is run: the trigger gives them
KINDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false", "String": "a text"}


def read_declared(environment: Environment) -> dict[str, dict[str, Any]]:
    """The pipeline's parameters as its definition declares them, without those that the trigger gives.

    Raises:
        NotFound: there is no pipeline yet.
    """
    name = environment.stack.pipeline
    with environment.doing(f"reading the pipeline {name}"):
        try:
            answer = environment.client("sagemaker").describe_pipeline(PipelineName=name)
        except ClientError as error:
            if not is_missing(error):
                raise
            raise NotFound(
                f"there is no pipeline {name} yet: the first upload makes it",
                hint=environment.command("upload FOLDER"),
            ) from error
    declared = json.loads(answer["PipelineDefinition"]).get("Parameters", [])
    return {item["Name"]: item for item in declared if item["Name"] not in OWN}


def check(environment: Environment, chosen: Mapping[str, str]) -> None:
    """Raises UsageError for a parameter that the pipeline does not have, or a value of another type."""
    declared = read_declared(environment)
    for name, value in chosen.items():
        if name not in declared:
            known = ", ".join(_described(item) for item in declared.values())
            raise UsageError(
                f"the pipeline has no parameter {name!r} that a run may choose; it has {known or 'none'}",
                hint=environment.command(f"run --set {_example(declared)}" if declared else "run --again"),
            )
        if not _fits(declared[name], value):
            raise UsageError(
                f"{name} is {value!r}, and the pipeline wants {_kind(declared[name])}",
                hint=environment.command(f"run --set {_example({name: declared[name]})}"),
            )


def _fits(declared: Mapping[str, Any], value: str) -> bool:
    allowed = declared.get("EnumValues")
    if allowed:
        return value in map(str, allowed)
    match declared.get("Type", "String"):
        case "Integer":
            return value.removeprefix("-").isdecimal() and value.isascii()
        case "Float":
            try:
                return isfinite(float(value))
            except ValueError:
                return False
        case "Boolean":
            return value.lower() in ("true", "false")
    return True


def _kind(declared: Mapping[str, Any]) -> str:
    allowed = declared.get("EnumValues")
    return " or ".join(map(str, allowed)) if allowed else KINDS.get(declared.get("Type", "String"), "a text")


def _described(declared: Mapping[str, Any]) -> str:
    default = f", default {declared['DefaultValue']}" if "DefaultValue" in declared else ""
    return f"{declared['Name']} ({_kind(declared)}{default})"


def _example(declared: Mapping[str, Mapping[str, Any]]) -> str:
    """The first one with its default, as it can be typed."""
    name, item = next(iter(declared.items()))
    return f"{name}={item.get('DefaultValue', 'VALUE')}"
