"""Check: what can be known of a definition before it runs.

Every reference names something that exists and fits where it stands, the steps have no cycle, and the ``Arguments`` fit
the request shapes of the API calls they stand for.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.pipelines.engine.check_references import reference_problems, type_problems
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed
from pipeline_language.definition import Definition, DefinitionError, Step, Trigger, read
from pipeline_language.graph import dependencies, own_arguments
from pipeline_language.members import suggestion
from pipeline_language.references import has_form, is_reference

# The members by which the elements of a list are known in references to it, so that they must differ.
_ELEMENT_NAMES = ("InputName", "OutputName", "ChannelName")
_GENERATED = {"Get": ""}  # what stands for a member that the engine fills in


def checked(text: str) -> Definition:
    """The definition; raises DefinitionError with everything that is wrong in it, as far as it can be known."""
    definition, found = read(text)
    found += problems(definition)
    if found:
        raise DefinitionError(" ".join(dict.fromkeys(found)))
    return definition


def problems(definition: Definition) -> Iterator[str]:
    """What is wrong in a definition that could be read."""
    if definition.experiment is not None:
        name = "PipelineExperimentConfig"
        shape = shapes.service_model().shape_for(name)
        yield from map(_sentence, _shape_problems(definition.experiment, shape, name, definition))
        yield from reference_problems(definition.experiment, name, definition, None)
    for step in definition.steps.values():
        yield from (f"Step '{step.name}': {problem}" for problem in _step_problems(step, definition))
    with suppress(DefinitionError):  # of a path that cannot be read, which is found already
        try:
            TopologicalSorter(dependencies(definition)).prepare()
        except CycleError as error:
            yield f"The steps depend on each other in a cycle: {' -> '.join(error.args[1])}."


def _step_problems(step: Step, definition: Definition) -> Iterator[str]:
    for name, trigger in step.depends_on.items():
        if name not in definition.steps:
            yield f"DependsOn names '{name}', which is not a step; {suggestion(name, definition.steps)}"
        elif definition.steps[name].type == "Fail":
            yield f"it cannot depend on the Fail step '{name}'."
        elif step.branch is not None and name == step.branch.condition and trigger != Trigger.COMPLETED:
            yield f"it stands under '{name}', so it cannot wait for its trigger {trigger}."
    arguments = own_arguments(step)
    for where, value in {"Arguments": arguments, **step.extra}.items():
        yield from reference_problems(value, where, definition, step)
        yield from _duplicates(value, where)
    kind = STEP_TYPES.get(step.type)
    if kind is None:
        return
    yield from argument_problems(kind, arguments, definition)
    if step.property_files and step.type != "Processing":
        yield f"it has PropertyFiles, which are for Processing steps; its type is {step.type}."
    if kind.check is not None:
        yield from kind.check(step)


def argument_problems(kind: StepType, arguments: dict[str, Any], definition: Definition | None = None) -> Iterator[str]:
    """What does not fit the request of the step type's API call; without a definition, nothing is a reference."""
    if kind.request is not None:
        shape = shapes.request_shape(kind.request)
        given: dict[str, Any] = dict.fromkeys(kind.generated, _GENERATED) | shapes.without_nulls(arguments)
        yield from map(_sentence, _shape_problems(given, shape, "Arguments", definition))


def run_attempt(attempt: Attempt) -> Outcome:
    """Runs a step, unless its arguments do not fit now that every reference has its value."""
    kind = STEP_TYPES[attempt.step.type]
    assert kind.run is not None, f"{attempt.step.type} steps run on AWS only, and no execution of one starts"
    found = list(argument_problems(kind, attempt.arguments))
    if found:
        reason = f"Failed to invoke sagemaker:{kind.request}. Error Details: {' '.join(found)} (ValidationException)"
        return failed(f"ClientError: {reason}")
    if kind.request is not None:
        attempt = replace(attempt, arguments=shapes.without_nulls(attempt.arguments))
    return kind.run(attempt)


def _shape_problems(value: Any, shape: Any, where: str, definition: Definition | None) -> Iterator[str]:
    def of_reference(value: Any, shape: Any, where: str) -> Any:
        if value == _GENERATED or (has_form(value) and not is_reference(value)):  # the latter is found elsewhere
            return ()
        return type_problems(value, shape, where, definition) if definition and is_reference(value) else None

    walk = shapes.Walk(reference=of_reference, element=lambda where, index: f"{where}[{index}]")
    return shapes.problems(value, shape, where=where, walk=walk)


def _sentence(problem: str) -> str:
    return problem if problem.endswith("?") else f"{problem}."


def _duplicates(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _duplicates(item, f"{where}.{name}")
    elif isinstance(value, list):
        for member in _ELEMENT_NAMES:
            names = [item[member] for item in value if isinstance(item, dict) and isinstance(item.get(member), str)]
            for name in dict.fromkeys(name for name in names if names.count(name) > 1):
                yield f"{where}: {member}s must be unique; '{name}' stands twice."
        for index, item in enumerate(value):
            yield from _duplicates(item, f"{where}[{index}]")
