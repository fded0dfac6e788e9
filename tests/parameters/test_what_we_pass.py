"""What our own definition, functions and commands pass to SageMaker is served by the local cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape
from passed_parameters import passed_to_sagemaker

from local_cloud.sagemaker import parameters
from local_cloud.sagemaker.core.shapes import request_shape
from pipeline_definition import CAPACITIES, PipelineSettings, build_pipeline

REQUESTS = {"Processing": "CreateProcessingJob", "Training": "CreateTrainingJob", "RegisterModel": "CreateModelPackage"}
# Calls of ours that the local cloud does not serve at all, and what they are for.
NOT_SERVED = {"DescribeDomain": "publishing to a domain of Studio, which the local cloud does not have"}


def steps(definition: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in definition:
        yield step
        for branch in ("IfSteps", "ElseSteps"):
            yield from steps(step.get("Arguments", {}).get(branch, []))


def paths(value: Any, shape: Shape, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each parameter that is given, with its value; a reference stands for any value."""
    if isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from paths(item, shape.member, path)
    elif isinstance(shape, StructureShape) and isinstance(value, dict) and value.keys() <= shape.members.keys():
        for name, item in value.items():
            yield from paths(item, shape.members[name], f"{path}.{name}".removeprefix("."))
    else:
        yield path, value


def is_taken(path: str, value: Any, taken: dict[str, tuple[str, ...]]) -> bool:
    for line, values in taken.items():
        if path == line or path.startswith(f"{line}."):
            return not values or isinstance(value, dict) or str(value) in values
    return False


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_our_definition_passes_nothing_that_is_refused(capacity: Any) -> None:
    settings = PipelineSettings(capacity=capacity)
    known = False
    for step in steps(build_pipeline(settings)["Steps"]):
        operation = REQUESTS.get(step["Type"])
        if operation is None:
            continue
        taken = parameters.lines(operation)
        for path, value in paths(step["Arguments"], request_shape(operation)):
            assert is_taken(path, value, taken), f"step {step['Name']}: {operation} refuses {path} = {value}"
            known = True
    assert known


@pytest.mark.parametrize("operation", sorted(passed_to_sagemaker()))
def test_our_calls_pass_nothing_that_is_refused(operation: str) -> None:
    if operation in NOT_SERVED:
        assert operation not in parameters.EFFECTIVE
        return
    taken = parameters.lines(operation)
    for parameter in passed_to_sagemaker()[operation]:
        assert any(line == parameter or line.startswith(f"{parameter}.") for line in taken), f"{operation}: {parameter}"
