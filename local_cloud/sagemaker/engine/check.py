"""Check: what can be known of a definition before it runs.

Every reference names something that exists, the steps have no cycle, the ``Arguments`` fit the request shapes of the
API calls they stand for, and the paths of references exist in the Describe responses.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_cloud.sagemaker import shapes
from local_cloud.sagemaker.engine.definition import Definition, DefinitionError, Step
from local_cloud.sagemaker.engine.references import Path, gets, is_reference, split
from local_cloud.sagemaker.engine.steps import STEP_TYPES

EXECUTION_VALUES = (
    "StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn",
    "TrainingJobName", "ProcessingJobName",
)  # fmt: skip


def check(definition: Definition) -> None:
    """Raises DefinitionError with everything found, or returns."""
    found = list(_problems(definition))
    if found:
        raise DefinitionError(" ".join(found))
    try:
        TopologicalSorter(dependencies(definition)).prepare()
    except CycleError as error:
        raise DefinitionError(f"The steps depend on each other in a cycle: {' -> '.join(error.args[1])}.") from error


def dependencies(definition: Definition) -> dict[str, set[str]]:
    """For each step the steps that it waits for: named in DependsOn, referred to, or the condition it stands under."""
    graph: dict[str, set[str]] = {}
    for step in definition.steps.values():
        waits_for = set(step.depends_on)
        waits_for |= {str(path[1]) for path in map(split, gets(own_arguments(step))) if path[0] == "Steps"}
        if step.branch is not None:
            waits_for.add(step.branch.condition)
        graph[step.name] = waits_for
    return graph


def own_arguments(step: Step) -> dict[str, Any]:
    """The arguments without the steps inside a condition's branches."""
    return {name: value for name, value in step.arguments.items() if name not in ("IfSteps", "ElseSteps")}


def _problems(definition: Definition) -> Iterator[str]:
    for step in definition.steps.values():
        kind = STEP_TYPES.get(step.type)
        if kind is None:
            yield (
                f"Step '{step.name}': the type '{step.type}' is not supported here; "
                f"supported are {', '.join(sorted(STEP_TYPES))}."
            )
            continue
        for name in step.depends_on:
            if name not in definition.steps:
                yield f"Step '{step.name}': DependsOn names '{name}', which is no step."
            elif definition.steps[name].type == "Fail":
                yield f"Step '{step.name}' cannot depend on the Fail step '{name}'."
        for text in gets(own_arguments(step)):
            yield from (f"Step '{step.name}': {problem}" for problem in _reference_problems(text, definition))
        if kind.request is not None:
            shape = shapes.request_shape(kind.request)
            given = {name: {"Get": ""} for name in kind.supplied} | dict(step.arguments)
            for problem in shapes.problems(given, shape, is_reference=is_reference):
                yield f"Step '{step.name}': {problem}."


def _reference_problems(text: str, definition: Definition) -> Iterator[str]:
    path = split(text)
    root, name = path[0], str(path[1]) if len(path) > 1 else ""
    if root == "Parameters":
        if name not in definition.parameters:
            yield f"'{text}' names an unknown parameter; known are {', '.join(definition.parameters) or 'none'}."
    elif root == "Execution":
        if name not in EXECUTION_VALUES:
            yield f"'{text}' names an unknown value; known are {', '.join(EXECUTION_VALUES)}."
    elif root == "Steps":
        step = definition.steps.get(name)
        if step is None:
            yield f"'{text}' names an unknown step; known are {', '.join(definition.steps)}."
        elif len(path) > 2:
            yield from _property_problems(text, path[2:], step)
    else:
        yield f"'{text}' begins with neither Parameters, Execution nor Steps."


def _property_problems(text: str, path: Path, step: Step) -> Iterator[str]:
    if path[0] == "PropertyFiles":
        if len(path) < 2 or path[1] not in step.property_files:
            yield f"'{text}' names no property file of step '{step.name}'."
        return
    kind = STEP_TYPES.get(step.type)
    if kind is None or kind.describe is None:
        return
    shape: Shape | None = shapes.response_shape(kind.describe)
    for part in path:
        if isinstance(shape, StructureShape) and part in shape.members:
            shape = shape.members[part]
        elif isinstance(shape, ListShape):
            shape = shape.member
        elif isinstance(shape, MapShape):
            shape = shape.value
        else:
            yield f"'{text}': {kind.describe} answers nothing at '{part}'."
            return
