"""The output parameters that a Lambda or a Callback step declares."""

from collections.abc import Iterator

from pipeline_language.definition import Step
from pipeline_language.members import OUTPUT_PARAMETER, shown, suggestion, unknown_members

_TYPES = ("String", "Integer", "Boolean", "Float")


def output_problems(step: Step) -> Iterator[str]:
    """What is wrong with the form of OutputParameters."""
    outputs = step.extra.get("OutputParameters", [])
    if not isinstance(outputs, list):
        yield f"OutputParameters must be a list, not {shown(outputs)}."
        return
    for index, output in enumerate(outputs):
        where = f"OutputParameters[{index}]"
        if not isinstance(output, dict) or not isinstance(output.get("OutputName"), str):
            yield f"{where}: an output parameter needs an OutputName that is text."
        if isinstance(output, dict):
            yield from (f"{where}: {problem}" for problem in unknown_members(output, OUTPUT_PARAMETER))
            kind = output.get("OutputType", "String")
            if kind not in _TYPES:
                yield f"{where}: the OutputType {shown(kind)} is not one; {suggestion(str(kind), _TYPES)}"
