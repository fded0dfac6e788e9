"""Parse: from the JSON of a pipeline definition to frozen steps, in the order of the text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

VERSION = "2020-12-01"
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_DURATION = re.compile(r"P?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE)

_PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,), "Integer": (int,), "Float": (int, float), "Boolean": (bool,),
}  # fmt: skip
_EXCEPTIONS = (
    "Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
)  # fmt: skip


class Trigger(StrEnum):
    """What a step waits for in another one that DependsOn names: its success, its failure, its stop, or any end."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    ANY = "Any"


class DefinitionError(Exception):
    """The definition is not one that can run; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str  # String, Integer, Float or Boolean
    default: Any = None
    allowed: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class PropertyFile:
    output: str
    path: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries of service faults; either ``attempts`` or ``expires`` (seconds since the step's start) bounds them."""

    exceptions: frozenset[str]
    interval: float
    backoff: float
    attempts: int | None
    expires: float | None


@dataclass(frozen=True, slots=True)
class Branch:
    """A step inside IfSteps or ElseSteps: it runs only when ``condition`` came out as ``outcome``."""

    condition: str
    outcome: bool


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    type: str
    arguments: Mapping[str, Any]
    depends_on: Mapping[str, Trigger]
    """The trigger of each step that DependsOn names."""
    branch: Branch | None
    cache_seconds: float | None
    """How long a result may be reused; None: never."""
    retries: tuple[RetryPolicy, ...]
    property_files: Mapping[str, PropertyFile]
    extra: Mapping[str, Any]
    """Members beside Arguments that only some step types have, such as a Lambda step's FunctionArn."""


@dataclass(frozen=True, slots=True)
class Definition:
    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]


def parse(text: str) -> Definition:
    """Reads a definition; raises DefinitionError at the first thing that is not as the language has it."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"It is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("Version") != VERSION:
        raise DefinitionError(f'It must be an object with "Version": "{VERSION}".')
    parameters = dict(_parameters(document.get("Parameters", [])))
    steps: dict[str, Step] = {}
    for step in _steps(document.get("Steps"), branch=None):
        if step.name in steps:
            raise DefinitionError(f"Step names must be unique; '{step.name}' stands twice.")
        steps[step.name] = step
    if not steps:
        raise DefinitionError("It has no steps.")
    return Definition(parameters, steps)


def _parameters(items: Any) -> Iterator[tuple[str, Parameter]]:
    seen: set[str] = set()
    for item in _objects("Parameters", items):
        name, kind = _name("parameter", item), item.get("Type")
        if name in seen:
            raise DefinitionError(f"Parameter names must be unique; '{name}' stands twice.")
        seen.add(name)
        if not isinstance(kind, str) or kind not in _PARAMETER_TYPES:
            raise DefinitionError(f"Parameter '{name}' has type '{kind}', not String, Integer, Float or Boolean.")
        default, allowed = item.get("DefaultValue"), item.get("EnumValues") or ()
        if not isinstance(allowed, list | tuple):
            raise DefinitionError(f"Parameter '{name}': EnumValues must be a list.")
        for value in (*allowed, *(() if default is None else (default,))):
            if not isinstance(value, _PARAMETER_TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
                raise DefinitionError(f"Parameter '{name}': {value!r} is not a valid {kind}.")
        if allowed and default is not None and default not in allowed:
            raise DefinitionError(f"Parameter '{name}': the default {default!r} is none of its EnumValues.")
        yield name, Parameter(name, kind, default, tuple(allowed))


def _objects(where: str, items: Any) -> list[dict[str, Any]]:
    """``items`` when it is a list of objects; null stands for an empty one, as the SDK writes it."""
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DefinitionError(f"{where} must be a list of objects.")
    return items


def _name(noun: str, item: Mapping[str, Any]) -> str:
    name = item.get("Name", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"'{name}' is not a valid {noun} name; it must match {_NAME.pattern}.")
    return name


def _steps(items: Any, branch: Branch | None) -> Iterator[Step]:
    if not isinstance(items, list):
        raise DefinitionError("Steps must be a list.")
    for item in _objects("Steps", items):
        name = _name("step", item)
        step = _step(name, item, branch)
        yield step
        if step.type == "Condition":
            yield from _steps(step.arguments.get("IfSteps", []), Branch(name, True))
            yield from _steps(step.arguments.get("ElseSteps", []), Branch(name, False))


def _step(name: str, item: Mapping[str, Any], branch: Branch | None) -> Step:
    arguments = item.get("Arguments", {})
    if not isinstance(arguments, dict):
        raise DefinitionError(f"Step '{name}': Arguments must be an object.")
    common = ("Name", "Type", "Arguments", "DependsOn", "CacheConfig", "RetryPolicies", "PropertyFiles")
    return Step(
        name=name,
        type=str(item.get("Type", "")),
        arguments=arguments,
        depends_on=_dependencies(name, item.get("DependsOn") or []),
        branch=branch,
        cache_seconds=_cache(name, item.get("CacheConfig") or {}),
        retries=tuple(
            _retry(name, policy) for policy in _objects(f"Step '{name}': RetryPolicies", item.get("RetryPolicies"))
        ),
        property_files=dict(_property_files(name, item.get("PropertyFiles"))),
        extra={key: value for key, value in item.items() if key not in common},
    )


def _property_files(step: str, items: Any) -> Iterator[tuple[str, PropertyFile]]:
    for entry in _objects(f"Step '{step}': PropertyFiles", items):
        parts = [entry.get(member) for member in ("PropertyFileName", "OutputName", "FilePath")]
        if not all(isinstance(part, str) for part in parts):
            raise DefinitionError(
                f"Step '{step}': a property file needs PropertyFileName, OutputName and FilePath, each of them text."
            )
        name, output, path = map(str, parts)
        yield name, PropertyFile(output, path)


def _dependencies(step: str, entries: Any) -> dict[str, Trigger]:
    if not isinstance(entries, list):
        raise DefinitionError(f"Step '{step}': DependsOn must be a list.")
    triggers: dict[str, Trigger] = {}
    for entry in entries:
        name, trigger = _dependency(step, entry)
        if triggers.setdefault(name, trigger) != trigger:
            raise DefinitionError(
                f"Step '{step}': DependsOn names '{name}' with the triggers {triggers[name]} and {trigger}; "
                "a step that may follow several ends has the trigger Any."
            )
    return triggers


def _dependency(step: str, entry: Any) -> tuple[str, Trigger]:
    if isinstance(entry, str):
        return entry, Trigger.COMPLETED
    if isinstance(entry, dict) and isinstance(entry.get("Step"), str):
        trigger = entry.get("Trigger", Trigger.COMPLETED)
        if trigger not in list(Trigger):
            known = ", ".join(Trigger)
            raise DefinitionError(f"Step '{step}': the trigger {trigger!r} in DependsOn is none of {known}.")
        return entry["Step"], Trigger(trigger)
    raise DefinitionError(f"Step '{step}': an entry of DependsOn is neither a name nor {{Step, Trigger}}.")


def _cache(step: str, config: Any) -> float | None:
    if not isinstance(config, dict) or not isinstance(config.get("Enabled", False), bool):
        raise DefinitionError(f"Step '{step}': CacheConfig must be an object whose Enabled is true or false.")
    if not config.get("Enabled"):
        return None
    text = config.get("ExpireAfter")
    return float("inf") if text is None else _seconds(step, str(text))


def _seconds(step: str, text: str) -> float:
    """ISO-8601 durations, read as leniently as AWS does: the P may be missing, letters may be small."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise DefinitionError(f"Step '{step}': ExpireAfter '{text}' is not an ISO-8601 duration such as P30D or PT1H.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _retry(step: str, policy: Mapping[str, Any]) -> RetryPolicy:
    if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
        raise DefinitionError(f"Step '{step}': a retry policy has MaxAttempts or ExpireAfterMin, not both.")
    kinds = policy.get("ExceptionType")
    if not isinstance(kinds, list) or not kinds or not all(kind in _EXCEPTIONS for kind in kinds):
        raise DefinitionError(
            f"Step '{step}': ExceptionType of a retry policy must be a list of {', '.join(_EXCEPTIONS)}."
        )
    expires = "ExpireAfterMin" in policy
    return RetryPolicy(
        exceptions=frozenset(kinds),
        interval=_number(step, policy, "IntervalSeconds", 1, 43200),
        backoff=_number(step, policy, "BackoffRate", 2.0, 1000),
        attempts=None if expires else int(_number(step, policy, "MaxAttempts", 5, 20)),
        expires=_number(step, policy, "ExpireAfterMin", 0, 14400) * 60 if expires else None,
    )


def _number(step: str, policy: Mapping[str, Any], member: str, default: float, most: float) -> float:
    value = policy.get(member, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise DefinitionError(f"Step '{step}': {member} of a retry policy is {value!r}, not between 0 and {most}.")
    return float(value)
