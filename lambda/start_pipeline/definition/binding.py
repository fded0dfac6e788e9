"""Bind a portable definition to this environment, and refuse a definition that uses resources outside it.

A definition names the environment's resources as `${headrace:DataBucket}`, `${headrace:JobRoleArn}`, …; any other
`${…}` (for example shell text) stays as it is. A name with several values, `${headrace:SubnetIds}`, is an item of a
list, and its values replace the item.

Definitions are executable, so a bound definition is refused in these cases:

- it names a role, an image account, an output bucket, a subnet or a security group that the environment does not have,
  or a reference decides one of them at run time;
- an ARN anywhere in it belongs to another account or region;
- it registers a model with another approval status than the environment's (the pipeline role's policy has the same
  limit), or with an artifact that StoreModel has not stored: deploy_model would refuse it after training and approval.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import BindingError, DefinitionError
from shared.hashing import canonical

VERSION = "2020-12-01"
MAX_DEFINITION = 1_048_576  # characters that CreatePipeline accepts inline

PLACEHOLDER = re.compile(r"\$\{headrace:([^}]*)\}")
ECR_IMAGE = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.[a-z]+)*/")
ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:([a-z0-9-]*):([a-z0-9-]*):[^\s\"']+")
NUMBER = re.compile(r"\d+(\.\d+)?")
IMAGE_KEYS = frozenset({"ImageUri", "TrainingImage", "Image"})
OUTPUT_KEYS = frozenset({"S3OutputPath", "S3FailurePath", "DestinationS3Uri"})
NETWORK_KEYS = {"Subnets": "SubnetIds", "SecurityGroupIds": "SecurityGroupIds"}  # of a VpcConfig, and their binding
OUTPUT_PARENTS = frozenset({"S3Output", "CheckpointConfig"})  # a job writes to their S3Uri
PENDING = "PendingManualApproval"
MODEL_DATA_KEYS = frozenset({"ModelDataUrl", "ModelDataSource"})
BRANCHES = frozenset({"IfSteps", "ElseSteps"})


Bindings = Mapping[str, str | Sequence[str]]
"""The values of the environment's names: a string, or several strings."""


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a value in a definition: its step, its path in that step, and the last two names of that path."""

    step: str
    path: str = ""
    parent: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"step {self.step}, {self.path}" if self.step else self.path


def bound_definition(
    text: str | bytes, bindings: Bindings, defaults: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Bind every name of the definition, and set the environment's `defaults` of its parameters.

    Raises DefinitionError, and BindingError for an unknown name.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DefinitionError(
            f"the definition is not valid JSON: {error}", hint="check it with: python -m json.tool <file>"
        ) from error
    definition: dict[str, Any] = bind(parsed, bindings)
    check(definition, bindings)
    set_defaults(definition.get("Parameters"), defaults or {})
    return definition


def bind(value: Any, bindings: Bindings) -> Any:
    """A copy of the value in which each `${headrace:Name}` of every string is replaced."""

    def bound(name: str) -> str | Sequence[str]:
        if name not in bindings:
            raise BindingError(
                f"the definition uses ${{headrace:{name}}}, which this environment does not have",
                hint=f"known names: {', '.join(sorted(bindings))}",
            )
        return bindings[name]

    def replacement(match: re.Match[str]) -> str:
        found = bound(match[1])
        if not isinstance(found, str):
            raise BindingError(
                f"${{headrace:{match[1]}}} has {len(found)} values, and is used where one value is required",
                hint=f'use it as a whole item of a list: ["${{headrace:{match[1]}}}"]',
            )
        return found

    def items(item: Any) -> Sequence[Any]:
        whole = PLACEHOLDER.fullmatch(item) if isinstance(item, str) else None
        if whole and not isinstance(several := bound(whole[1]), str):
            return several
        return [bind(item, bindings)]

    match value:
        case str():
            return PLACEHOLDER.sub(replacement, value)
        case dict():
            return {bind(key, bindings): bind(item, bindings) for key, item in value.items()}
        case list():
            return [found for item in value for found in items(item)]
    return value


def set_defaults(parameters: Any, defaults: Mapping[str, str]) -> None:
    """Replace the definition's default values with the environment's. The definition may lack a parameter."""
    for item in parameters if isinstance(parameters, list) else []:
        match item:
            case {"Name": str(name), "Type": str(kind)} if name in defaults:
                item["DefaultValue"] = _typed(name, kind, defaults[name])


def _typed(name: str, kind: str, value: str) -> str | int | float | bool:
    match kind:
        case "String":
            return value
        case "Integer" if value.isdecimal():
            return int(value)
        case "Float" if NUMBER.fullmatch(value):
            return float(value)
        case "Boolean" if value in ("true", "false"):
            return value == "true"
    raise DefinitionError(
        f"the parameter {name} has the type {kind}, and this environment's default {value!r} does not fit it",
        hint="give it the type that it has in the first definition, or another name",
    )


def check(definition: Any, bindings: Bindings) -> None:
    """Raises DefinitionError for an invalid definition, and for one that uses resources outside the environment."""
    match definition:
        case {"Version": version, "Steps": list(steps)} if version == VERSION:
            pass
        case _:
            raise DefinitionError(
                f'the definition is not a JSON object with "Version": "{VERSION}" and a list "Steps"',
                hint="upload the JSON of a SageMaker pipeline definition, as describe-pipeline shows it",
            )
    size = len(canonical(definition))
    if size > MAX_DEFINITION:
        raise DefinitionError(
            f"the bound definition has {size:,} characters, and SageMaker accepts {MAX_DEFINITION:,}",
            hint="move data out of the definition, into files of the data bucket",
        )
    single = {name: value for name, value in bindings.items() if isinstance(value, str)}
    roles = {value for name, value in single.items() if name.endswith("RoleArn")}
    images = {value for name, value in single.items() if name.endswith("Image")}
    accounts = {match[1] for image in images if (match := ECR_IMAGE.match(image))}
    found = list(every_step(steps))
    functions = {step["Name"] for step in found if step["Type"] == "Lambda"}  # their arguments register no model
    for place, value in _values(found):
        if value is None:
            continue
        if place.key.endswith("RoleArn"):
            _check_role(place, value, roles)
        elif place.key in IMAGE_KEYS:
            _check_image(place, value, images, accounts)
        elif place.key in OUTPUT_KEYS or (place.key == "S3Uri" and place.parent in OUTPUT_PARENTS):
            _check_output(place, value, single["DataBucket"])
        elif place.parent == "VpcConfig" and place.key in NETWORK_KEYS:
            name = NETWORK_KEYS[place.key]
            _check_network(place, value, bindings.get(name, ()), name)
        elif place.key == "ModelPackageGroupName" and "ModelPackageGroupName" in single:
            _check_group(place, value, single["ModelPackageGroupName"])
        elif place.key in MODEL_DATA_KEYS and place.step not in functions and "StoreModelFunctionArn" in single:
            _check_artifact(place, value, found, single["StoreModelFunctionArn"])
        elif place.key == "ModelApprovalStatus":
            _check_approval(place, value, single.get("ModelApprovalStatus", PENDING))
    for step in found:
        _check_arns(step, Place(step["Name"]), single)
    _check_arns(definition.get("Parameters"), Place("", "Parameters"), single)


def _check_role(place: Place, value: Any, roles: set[str]) -> None:
    if not isinstance(value, str) or value not in roles:
        raise DefinitionError(
            f"{place}: {_shown(value)} is not a role of this environment",
            hint="write ${headrace:JobRoleArn}; roles are " + ", ".join(sorted(roles)),
        )


def _check_image(place: Place, value: Any, images: set[str], accounts: set[str]) -> None:
    match = ECR_IMAGE.match(value) if isinstance(value, str) else None
    if not (isinstance(value, str) and value in images) and not (match and match[1] in accounts):
        raise DefinitionError(
            f"{place}: {_shown(value)} is not an image of an account that this environment uses",
            hint="write ${headrace:TrainingImage} or ${headrace:InferenceImage}, or an image of the account "
            + " or ".join(sorted(accounts)),
        )


def _check_output(place: Place, value: Any, bucket: str) -> None:
    if not _leading_text(value)[0].startswith(f"s3://{bucket}/"):
        raise DefinitionError(
            f"{place}: {_shown(value)} does not lie in the data bucket {bucket}",
            hint='begin it with "s3://${headrace:DataBucket}/", in a Std:Join as the first of its Values',
        )


def _check_network(place: Place, value: Any, known: str | Sequence[str], name: str) -> None:
    foreign = [item for item in value if item not in known] if isinstance(value, list) else value
    if foreign or not isinstance(value, list):
        raise DefinitionError(
            f"{place}: {_shown(foreign)} does not belong to this environment's network",
            hint=f'write ["${{headrace:{name}}}"]' if known else "leave VpcConfig out: this environment has no network",
        )


def _check_group(place: Place, value: Any, group: str) -> None:
    """A model in another group would be compared and deployed for another model line, or for none."""
    if value != group:
        raise DefinitionError(
            f"{place}: {_shown(value)} is not the model package group of this pipeline, which is {group}",
            hint="write ${headrace:ModelPackageGroupName}",
        )


def _check_artifact(place: Place, value: Any, steps: list[dict[str, Any]], function: str) -> None:
    stored = [step["Name"] for step in steps if step["Type"] == "Lambda" and step.get("FunctionArn") == function]
    if value not in [{"Get": f"Steps.{name}.OutputParameters['ModelDataUrl']"} for name in stored]:
        raise DefinitionError(
            f"{place}: the artifact {_shown(value)} is not the output of StoreModel, so it can be replaced after the "
            "model's approval",
            hint="have a Lambda step with the function ${headrace:StoreModelFunctionArn} store it first, as the "
            "StoreModel step of pipeline_definition/decide.py does, and register that step's output ModelDataUrl",
        )


def _check_approval(place: Place, value: Any, status: str) -> None:
    """Only a literal is accepted: with a parameter or a step's output, the user who starts a run could approve it."""
    if value not in (PENDING, status):
        raise DefinitionError(
            f"{place}: a model would be registered with the approval status {_shown(value)}, and this environment "
            f"registers models as {status}",
            hint="write ${headrace:ModelApprovalStatus}; model_approval_status under [<environment>.pipeline] in "
            "environments.toml sets it",
        )


def _check_arns(value: Any, place: Place, bindings: Mapping[str, str]) -> None:
    """Check every ARN at any depth, also in shell text. Only the parts that an ARN has are checked: S3's has no region.

    The account "aws" owns AWS's resources, such as managed policies.
    """
    match value:
        case str():
            for found in ARN.finditer(value):
                for kind, given, own in (
                    ("region", found[1], bindings["Region"]),
                    ("account", found[2], bindings["Account"]),
                ):
                    if given not in ("", "aws", own):
                        raise DefinitionError(
                            f"{place}: {found[0][:200]} has the {kind} {given}, and this environment has {own}",
                            hint=f"write ${{headrace:{kind.capitalize()}}} for it, or the name of the whole ARN, "
                            "such as ${headrace:JobRoleArn}: a literal ARN fits one environment only",
                        )
        case dict():
            for key, item in value.items():
                if key not in BRANCHES:
                    _check_arns(item, Place(place.step, f"{place.path}.{key}".lstrip(".")), bindings)
        case list():
            for number, item in enumerate(value):
                _check_arns(item, Place(place.step, f"{place.path}[{number}]"), bindings)


def _leading_text(value: Any) -> tuple[str, bool]:
    """The known start of a value, and whether it is the whole value: references are resolved at run time."""
    match value:
        case str():
            return value, True
        case {"Std:Join": {"On": str(separator), "Values": list(items)}}:
            text = ""
            for number, item in enumerate(items):
                start, whole = _leading_text(item)
                text += (separator if number else "") + start
                if not whole:
                    return text, False
            return text, True
    return "", False


def every_step(steps: list[Any], within: str = "Steps") -> Iterator[dict[str, Any]]:
    """The steps of a definition; the steps of a condition's branches follow the condition."""
    for number, step in enumerate(steps):
        match step:
            case {"Name": str(), "Type": str()}:
                yield step
                arguments = step.get("Arguments")
                branches = arguments if isinstance(arguments, dict) else {}
                for branch in sorted(BRANCHES & branches.keys()):
                    if isinstance(branches[branch], list):
                        yield from every_step(branches[branch], f"{step['Name']}.{branch}")
            case _:
                raise DefinitionError(
                    f"{within}[{number}] is not an object with a Name and a Type",
                    hint="give every step both, as strings",
                )


def _values(steps: Iterable[dict[str, Any]]) -> Iterator[tuple[Place, Any]]:
    """Every value under a key, at any depth, with its place; a branch's steps are separate items of `steps`."""
    for step in steps:
        yield from _values_below(step, Place(step["Name"]))


def _values_below(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    match value:
        case dict():
            for key, item in value.items():
                if key in BRANCHES:
                    continue
                below = Place(place.step, f"{place.path}.{key}".lstrip("."), place.key, key)
                yield below, item
                yield from _values_below(item, below)
        case list():
            for number, item in enumerate(value):
                yield from _values_below(item, Place(place.step, f"{place.path}[{number}]", place.parent, place.key))


def _shown(value: Any) -> str:
    return json.dumps(value)[:200]
