"""Parse: from the JSON of a pipeline definition to frozen steps, in the order of the text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

VERSION = "2020-12-01"
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_DURATION = re.compile(r"P?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE)


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
    depends_on: tuple[str, ...]
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
    for item in items:
        name, kind = item.get("Name", ""), item.get("Type")
        if not _NAME.fullmatch(name):
            raise DefinitionError(f"'{name}' is no parameter name; it must match {_NAME.pattern}.")
        if kind not in ("String", "Integer", "Float", "Boolean"):
            raise DefinitionError(f"Parameter '{name}' has type '{kind}', not String, Integer, Float or Boolean.")
        yield name, Parameter(name, kind, item.get("DefaultValue"), tuple(item.get("EnumValues", ())))


def _steps(items: Any, branch: Branch | None) -> Iterator[Step]:
    if not isinstance(items, list):
        raise DefinitionError("Steps must be a list.")
    for item in items:
        name = item.get("Name", "") if isinstance(item, dict) else ""
        if not _NAME.fullmatch(name):
            raise DefinitionError(f"'{name}' is no step name; it must match {_NAME.pattern}.")
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
        depends_on=tuple(_dependency(name, entry) for entry in item.get("DependsOn") or ()),
        branch=branch,
        cache_seconds=_cache(name, item.get("CacheConfig") or {}),
        retries=tuple(_retry(name, policy) for policy in item.get("RetryPolicies") or ()),
        property_files={
            entry["PropertyFileName"]: PropertyFile(entry["OutputName"], entry["FilePath"])
            for entry in item.get("PropertyFiles") or ()
        },
        extra={key: value for key, value in item.items() if key not in common},
    )


def _dependency(step: str, entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict) and isinstance(entry.get("Step"), str):
        if entry.get("Trigger", "Completed") != "Completed":
            raise DefinitionError(
                f"Step '{step}': the trigger '{entry['Trigger']}' in DependsOn is not supported; only Completed is."
            )
        return str(entry["Step"])
    raise DefinitionError(f"Step '{step}': an entry of DependsOn is neither a name nor {{Step, Trigger}}.")


def _cache(step: str, config: Mapping[str, Any]) -> float | None:
    if not config.get("Enabled"):
        return None
    text = config.get("ExpireAfter")
    return float("inf") if text is None else _seconds(step, str(text))


def _seconds(step: str, text: str) -> float:
    """ISO-8601 durations, read as leniently as AWS does: the P may be missing, letters may be small."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise DefinitionError(f"Step '{step}': ExpireAfter '{text}' is no ISO-8601 duration such as P30D or PT1H.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _retry(step: str, policy: Mapping[str, Any]) -> RetryPolicy:
    if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
        raise DefinitionError(f"Step '{step}': a retry policy has MaxAttempts or ExpireAfterMin, not both.")
    minutes = policy.get("ExpireAfterMin")
    return RetryPolicy(
        exceptions=frozenset(policy.get("ExceptionType", ())),
        interval=float(policy.get("IntervalSeconds", 1)),
        backoff=float(policy.get("BackoffRate", 2.0)),
        attempts=None if minutes is not None else int(policy.get("MaxAttempts", 5)),
        expires=None if minutes is None else minutes * 60.0,
    )
