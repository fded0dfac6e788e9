"""The graph of a definition: which steps each step waits for, and the values of a step that may refer to others."""

from typing import Any

from pipeline_language.definition import Definition, Step, Trigger
from pipeline_language.references import find_references, split


def dependencies(definition: Definition) -> dict[str, dict[str, Trigger]]:
    """For each step those that it waits for, with the trigger: named in DependsOn, referred to, or its condition.

    A reference waits for the trigger that DependsOn names, if it names the step, and else for Completed.
    """
    graph: dict[str, dict[str, Trigger]] = {}
    for step in definition.steps.values():
        paths = map(split, find_references(values_of(step)))
        referred = [str(path[1]) for path in paths if path[0] == "Steps" and len(path) > 1]
        if step.branch is not None:
            referred.append(step.branch.condition)
        graph[step.name] = dict.fromkeys(referred, Trigger.COMPLETED) | dict(step.depends_on)
    return graph


def own_arguments(step: Step) -> dict[str, Any]:
    """The arguments without the steps inside a condition's branches."""
    inner = ("IfSteps", "ElseSteps") if step.type == "Condition" else ()
    return {name: value for name, value in step.arguments.items() if name not in inner}


def values_of(step: Step) -> list[Any]:
    """All of a step that may hold references: the arguments, and members beside them such as FunctionArn."""
    return [own_arguments(step), dict(step.extra)]
