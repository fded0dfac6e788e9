"""What is wrong with the references of a definition: what they name, and whether its type fits where they stand."""

from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.step_type import StepType
from pipeline_language.definition import Definition, DefinitionError, Step
from pipeline_language.members import STEP_TYPES as STEP_MEMBERS
from pipeline_language.members import shown, suggestion, unknown_members
from pipeline_language.references import FORMS, Path, elements, is_reference, json_path, own_name, split

# The step type whose job the name is of: it has a value in the arguments of such steps alone.
JOB_NAMES = {"TrainingJobName": "Training", "ProcessingJobName": "Processing"}
EXECUTION_VARIABLES = (
    "StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId", "PipelineExecutionArn",
    *JOB_NAMES,
)  # fmt: skip

_OF_FOR_EACH = ("ForEach", "ChildOutput")  # where references begin inside a ForEach step
_SHOWN_TYPES = {"integer": "Integer", "long": "Integer", "float": "Float", "double": "Float", "boolean": "Boolean",
                "structure": "Structure", "list": "List", "map": "Map"}  # fmt: skip


def reference_problems(value: Any, where: str, definition: Definition, step: Step | None) -> Iterator[str]:
    """What is wrong with the references in ``value``, however deep, each with its place; ``step`` holds them."""
    if is_reference(value):
        try:
            for problem in _form_problems(value, where, definition, step):
                yield problem if problem.startswith(f"{where}.") else f"{where}: {problem}"
        except DefinitionError as error:
            yield f"{where}: {error}"
    elif isinstance(value, dict):
        if form := next((name for name in value if name in FORMS), None):
            others = ", ".join(f"'{name}'" for name in value if name != form)
            yield f"{where}: a {form} stands alone in its object, without {others}."
            return
        for name, item in value.items():
            yield from reference_problems(item, f"{where}.{name}".removeprefix("."), definition, step)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from reference_problems(item, f"{where}[{index}]", definition, step)


def _form_problems(value: dict[str, Any], where: str, definition: Definition, step: Step | None) -> Iterator[str]:
    form, content = next(iter(value.items()))
    if form == "Get":
        if isinstance(content, str):
            yield from _get_problems(content, definition, step)
        else:
            yield f"a Get holds {shown(content)}, which is not a path."
        return
    if not isinstance(content, dict):
        yield f"{form} holds {shown(content)}, which is not an object."
    elif form == "Std:Join":
        yield from unknown_members(content, ("On", "Values"))
        if not isinstance(content.get("On", ""), str):
            yield f"the On of Std:Join must be text, not {shown(content['On'])}."
        if not isinstance(content.get("Values"), list):
            yield "Std:Join needs a list of Values."
        yield from reference_problems(content.get("Values"), f"{where}.Std:Join.Values", definition, step)
    else:
        yield from _json_get_problems(content, where, definition, step)


def _json_get_problems(content: dict[str, Any], where: str, definition: Definition, step: Step | None) -> Iterator[str]:
    yield from unknown_members(content, ("PropertyFile", "S3Uri", "Path"))
    if not isinstance(content.get("Path"), str):
        yield "Std:JsonGet needs a Path that is text; references are not allowed in it."
    else:
        json_path(content["Path"])
    if ("PropertyFile" in content) == ("S3Uri" in content):
        yield "Std:JsonGet needs exactly one of PropertyFile and S3Uri."
    elif "S3Uri" in content:
        yield from reference_problems(content["S3Uri"], f"{where}.Std:JsonGet.S3Uri", definition, step)
    else:
        text = content["PropertyFile"].get("Get") if is_reference(content["PropertyFile"]) else None
        path = split(text) if isinstance(text, str) else ()
        if len(path) == 4 and path[0] == "Steps" and path[2] == "PropertyFiles":
            yield from _get_problems(str(text), definition, step)
        else:
            yield 'PropertyFile must be {"Get": "Steps.<step>.PropertyFiles.<name>"}.'


def _get_problems(text: str, definition: Definition, step: Step | None) -> Iterator[str]:
    path = split(text)
    root, name = path[0], str(path[1]) if len(path) > 1 else ""
    if root in ("Parameters", "Execution") and len(path) != 2:
        yield f"'{text}' must have exactly one name after {root}."
    elif root == "Parameters":
        if name not in definition.parameters:
            yield f"'{text}' names an unknown parameter; {suggestion(name, definition.parameters)}"
    elif root == "Execution":
        if name not in EXECUTION_VARIABLES:
            yield f"'{text}' names an unknown value; {suggestion(name, EXECUTION_VARIABLES)}"
        elif name in JOB_NAMES and (step is None or step.type != JOB_NAMES[name]):
            yield f"'{text}' has a value in {JOB_NAMES[name]} steps alone."
    elif root == "Steps":
        yield from _step_reference_problems(text, name, path[2:], definition)
    elif root not in _OF_FOR_EACH or step is None or step.type != "ForEach":
        yield f"'{text}' begins with neither Parameters, Execution nor Steps."


def _step_reference_problems(text: str, name: str, path: Path, definition: Definition) -> Iterator[str]:
    step = definition.steps.get(name)
    if step is None:
        yield f"'{text}' names an unknown step; {suggestion(name, definition.steps)}"
    elif step.type == "Fail":
        yield f"'{text}' refers to a Fail step, on which nothing can depend."
    elif not path:
        yield f"'{text}' names no property of step '{name}'."
    elif path[0] == "PropertyFiles":
        if len(path) < 2 or path[1] not in step.property_files:
            yield f"'{text}' names no property file of step '{name}'; {suggestion(str(path[-1]), step.property_files)}"
    elif path[0] == "OutputParameters" and "OutputParameters" in (STEP_MEMBERS.get(step.type) or ()):
        outputs = _output_types(step)
        if len(path) != 2 or path[1] not in outputs:
            yield f"'{text}' names no output parameter of step '{name}'; {suggestion(str(path[-1]), outputs)}"
    elif (kind := STEP_TYPES.get(step.type)) is not None:
        yield from _property_problems(text, path, kind, step)


def _property_problems(text: str, path: Path, kind: StepType, step: Step) -> Iterator[str]:
    if path[0] in kind.properties:
        return
    if kind.describe is None:
        if kind.properties:
            yield f"'{text}': the step has no property '{path[0]}'; {suggestion(str(path[0]), kind.properties)}"
        return
    shape: Shape | None = shapes.response_shape(kind.describe)
    given: Any = step.arguments  # which Describe answers as well
    for part in path:
        inner = _member(shape, part)
        if inner is None:
            hint = f"; {suggestion(str(part), list(shape.members))}" if isinstance(shape, StructureShape) else "."
            yield f"'{text}': {kind.describe.rpartition(':')[2]} returns nothing at '{part}'{hint}"
            return
        names = _names(given)
        if isinstance(part, str) and names and part not in names:
            yield f"'{text}': step '{step.name}' has no '{part}' there; {suggestion(part, names)}"
            return
        found = list(elements(given, part))
        shape, given = inner, found[0] if found else None


def _names(given: Any) -> list[str]:
    """By which the elements of a list are known, where each has its name in the text."""
    items = given if isinstance(given, list) else []
    names = [name for item in items if isinstance(item, dict) and isinstance(name := own_name(item), str)]
    return names if len(names) == len(items) else []


def _member(shape: Shape | None, part: str | int) -> Shape | None:
    if isinstance(shape, StructureShape):
        found: Shape | None = shape.members.get(part)
        return found
    if isinstance(shape, ListShape):
        return shape.member
    return shape.value if isinstance(shape, MapShape) else None


def type_problems(value: dict[str, Any], shape: Shape, where: str, definition: Definition) -> Iterator[str]:
    """Whether the type of what a reference stands for, where it is known, is another one than that of its place."""
    found = _type_of(value, definition)
    wanted = _family(shape.type_name)
    if found is None or found == wanted or (found == "Integer" and wanted == "Float"):
        return
    what = f"property reference [{value['Get']}]" if "Get" in value else f"{next(iter(value))}, which is text,"
    yield f"{where}: Cannot assign {what} to argument of type [{wanted}]: it is a {found}"


def _type_of(value: dict[str, Any], definition: Definition) -> str | None:
    if "Std:Join" in value:
        return "String"
    if not isinstance(value.get("Get"), str):
        return None
    try:
        root, name, *path = split(value["Get"])
    except (DefinitionError, ValueError):
        return None
    if root == "Parameters":
        parameter = definition.parameters.get(str(name))
        return (parameter.type or None) if parameter is not None else None
    if root == "Execution":
        return "String"
    step = definition.steps.get(str(name))
    if root != "Steps" or step is None or not path:
        return None
    if path[0] == "OutputParameters":
        return _output_types(step).get(str(path[1])) if len(path) == 2 else None
    kind = STEP_TYPES.get(step.type)
    shape: Shape | None = shapes.response_shape(kind.describe) if kind is not None and kind.describe else None
    for part in path:
        shape = _member(shape, part)
    return None if shape is None or shape.type_name == "timestamp" else _family(shape.type_name)


def _family(type_name: str) -> str:
    return _SHOWN_TYPES.get(type_name, "String")


def _output_types(step: Step) -> dict[str, str]:
    """The declared type of each output parameter of a Lambda or Callback step."""
    outputs = step.extra.get("OutputParameters")
    return {
        str(item.get("OutputName")): str(item.get("OutputType", "String"))
        for item in (outputs if isinstance(outputs, list) else ())
        if isinstance(item, dict)
    }
