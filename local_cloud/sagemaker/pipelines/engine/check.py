"""Check: what can be known of a definition before it runs.

Every reference names something that exists, the steps have no cycle, the ``Arguments`` fit the request shapes of the
API calls they stand for, and the paths of references exist in the Describe responses.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.condition import condition_problems
from pipeline_language.definition import Definition, DefinitionError, Step, Trigger
from pipeline_language.graph import dependencies, values_of
from pipeline_language.references import Path, is_reference, json_path, split

# AWS also has Execution.TrainingJobName and ProcessingJobName; they are not supported here.
EXECUTION_VARIABLES = (
    "StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn",
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


def _problems(definition: Definition) -> Iterator[str]:
    for step in definition.steps.values():
        kind = STEP_TYPES.get(step.type)
        if kind is None:
            yield (
                f"Step '{step.name}': the type '{step.type}' is not supported here; "
                f"supported are {', '.join(sorted(STEP_TYPES))}."
            )
            continue
        for name, trigger in step.depends_on.items():
            if name not in definition.steps:
                yield f"Step '{step.name}': DependsOn names '{name}', which is not a step."
            elif definition.steps[name].type == "Fail":
                yield f"Step '{step.name}' cannot depend on the Fail step '{name}'."
            elif step.branch is not None and name == step.branch.condition and trigger != Trigger.COMPLETED:
                yield f"Step '{step.name}' stands under '{name}', so it cannot wait for its trigger {trigger}."
        for problem in _value_problems(values_of(step), definition):
            yield f"Step '{step.name}': {problem}"
        if step.type == "Condition":
            for problem in condition_problems(step.arguments.get("Conditions")):
                yield f"Step '{step.name}': {problem}"
        if kind.request is not None:
            shape = shapes.request_shape(kind.request)
            given = {name: {"Get": ""} for name in kind.generated} | dict(step.arguments)
            for problem in shapes.problems(given, shape, is_reference=is_reference):
                yield f"Step '{step.name}': {problem}."


def _value_problems(value: Any, definition: Definition) -> Iterator[str]:
    """What is wrong with the references in ``value``, however deep."""
    if is_reference(value):
        try:
            yield from _form_problems(value, definition)
        except DefinitionError as error:
            yield str(error)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _value_problems(item, definition)


def _form_problems(value: dict[str, Any], definition: Definition) -> Iterator[str]:
    form, content = next(iter(value.items()))
    if form == "Get":
        if isinstance(content, str):
            yield from _reference_problems(content, definition)
        else:
            yield f"A Get holds {content!r}, which is not a path."
        return
    if not isinstance(content, dict):
        yield f"{form} holds {content!r}, which is not an object."
    elif form == "Std:Join":
        if not isinstance(content.get("Values"), list):
            yield "Std:Join needs a list of Values."
        yield from _value_problems(content.get("Values"), definition)
    else:
        yield from _json_get_problems(content, definition)


def _json_get_problems(content: dict[str, Any], definition: Definition) -> Iterator[str]:
    if not isinstance(content.get("Path"), str):
        yield "Std:JsonGet needs a Path that is text; references are not allowed in it."
    else:
        json_path(content["Path"])
    if ("PropertyFile" in content) == ("S3Uri" in content):
        yield "Std:JsonGet needs exactly one of PropertyFile and S3Uri."
    elif "S3Uri" in content:
        yield from _value_problems(content["S3Uri"], definition)
    else:
        text = content["PropertyFile"].get("Get") if is_reference(content["PropertyFile"]) else None
        path = split(text) if isinstance(text, str) else ()
        if len(path) == 4 and path[0] == "Steps" and path[2] == "PropertyFiles":
            yield from _value_problems(content["PropertyFile"], definition)
        else:
            yield 'PropertyFile must be {"Get": "Steps.<step>.PropertyFiles.<name>"}.'


def _reference_problems(text: str, definition: Definition) -> Iterator[str]:
    path = split(text)
    root, name = path[0], str(path[1]) if len(path) > 1 else ""
    if root in ("Parameters", "Execution") and len(path) != 2:
        yield f"'{text}' must have exactly one name after {root}."
    elif root == "Parameters":
        if name not in definition.parameters:
            yield f"'{text}' names an unknown parameter; known are {', '.join(definition.parameters) or 'none'}."
    elif root == "Execution":
        if name not in EXECUTION_VARIABLES:
            yield f"'{text}' names an unknown value; known are {', '.join(EXECUTION_VARIABLES)}."
    elif root == "Steps":
        step = definition.steps.get(name)
        if step is None:
            yield f"'{text}' names an unknown step; known are {', '.join(definition.steps)}."
        elif step.type == "Fail":
            yield f"'{text}' refers to a Fail step, on which nothing can depend."
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
