"""Parse: from the JSON of a pipeline definition to frozen steps, in the order of the text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline_language import members
from pipeline_language.members import shown, suggestion, unknown_members

VERSION = "2020-12-01"
_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
_DURATION = re.compile(
    r"P?(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE
)
_DAY = 86400
_UNITS = (365 * _DAY, 30 * _DAY, 7 * _DAY, _DAY, 3600, 60, 1)  # seconds of what _DURATION finds

_PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,), "Integer": (int,), "Float": (int, float), "Boolean": (bool,),
}  # fmt: skip
_EXCEPTIONS = (
    "Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT", "Emr.RESOURCE_LIMIT",
)  # fmt: skip

# What the SDK writes, and what AWS does where a definition says nothing.
DEFAULT_EXPERIMENT: Mapping[str, Any] = {
    "ExperimentName": {"Get": "Execution.PipelineName"},
    "TrialName": {"Get": "Execution.PipelineExecutionId"},
}


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
    description: Mapping[str, str]
    """DisplayName and Description, where the step has them."""
    extra: Mapping[str, Any]
    """Members beside Arguments that only some step types have, such as a Lambda step's FunctionArn."""


@dataclass(frozen=True, slots=True)
class Definition:
    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] | None
    """PipelineExperimentConfig, with references; None when it is null: the execution has none."""
    mlflow: Any = None
    """MlflowConfig, which the SDK writes as null."""


def parse(text: str) -> Definition:
    """Reads a definition; raises DefinitionError with all that is not as the language has it."""
    definition, found = read(text)
    if found:
        raise DefinitionError(" ".join(found))
    return definition


def read(text: str) -> tuple[Definition, list[str]]:
    """What can be read of a definition, and all that is not as the language has it, in the order of the text.

    Raises DefinitionError when nothing can be read.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise DefinitionError(f"It is not JSON: {error}.") from error
    except RecursionError as error:
        raise DefinitionError("Its objects and lists are nested too deeply.") from error
    if not isinstance(document, dict):
        raise DefinitionError("It must be an object.")
    reader = _Reader()
    return reader.definition(document), reader.found


class _Reader:
    """Reads the parts of one definition. What is wrong goes into ``found``, and is left out of what is read."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def wrong(self, problem: str, where: str = "") -> None:
        self.found.append(f"{where}: {problem}" if where else problem)

    def members(self, where: str, item: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for problem in unknown_members(item, known):
            self.wrong(problem, where)

    def objects(self, where: str, items: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each object of a list with its place; null stands for an empty one, as the SDK writes it."""
        if items is not None and not isinstance(items, list):
            self.wrong(f"must be a list of objects, not {shown(items)}.", where)
            return
        for index, item in enumerate(items or ()):
            if isinstance(item, dict):
                yield f"{where}[{index}]", item
            else:
                self.wrong(f"must be an object, not {shown(item)}; {where} is a list of objects.", f"{where}[{index}]")

    def name(self, noun: str, where: str, item: Mapping[str, Any]) -> str | None:
        name = item.get("Name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.wrong(f"{shown(name)} is not a valid {noun} name; it must match {_NAME.pattern}.", where)
        return name if isinstance(name, str) else None

    def definition(self, document: dict[str, Any]) -> Definition:
        self.members("The definition", document, members.DEFINITION)
        if document.get("Version", VERSION) != VERSION:
            self.wrong(f"Version is {shown(document['Version'])}; the only one is '{VERSION}'.")
        if not isinstance(document.get("Metadata") or {}, dict):
            self.wrong("Metadata must be an object.")
        parameters: dict[str, Parameter] = {}
        for where, item in self.objects("Parameters", document.get("Parameters")):
            parameter = self.parameter(where, item)
            if parameter is not None and parameters.setdefault(parameter.name, parameter) is not parameter:
                self.wrong(f"Parameter names must be unique; '{parameter.name}' stands twice.")
        steps: dict[str, Step] = {}
        for step in self.steps("Steps", document.get("Steps"), branch=None):
            if steps.setdefault(step.name, step) is not step:
                self.wrong(f"Step names must be unique; '{step.name}' stands twice.")
        if not document.get("Steps"):
            self.wrong("It has no steps.")
        experiment = document.get("PipelineExperimentConfig", DEFAULT_EXPERIMENT)
        return Definition(parameters, steps, experiment, document.get("MlflowConfig"))

    def parameter(self, where: str, item: dict[str, Any]) -> Parameter | None:
        name, kind = self.name("parameter", where, item), item.get("Type", "String")
        if name is None:
            return None
        where = f"Parameter '{name}'"
        self.members(where, item, members.PARAMETER)
        if not isinstance(kind, str) or kind not in _PARAMETER_TYPES:
            problem = suggestion(str(kind), _PARAMETER_TYPES)
            self.wrong(f"the type {shown(kind)} is not one of parameters; {problem}", where)
            return Parameter(name, "")
        default, allowed = item.get("DefaultValue"), item.get("EnumValues") or []
        if not isinstance(allowed, list):
            self.wrong("EnumValues must be a list.", where)
            allowed = []
        for value in (*allowed, *(() if default is None else (default,))):
            if not isinstance(value, _PARAMETER_TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
                self.wrong(f"{shown(value)} is not a valid {kind}.", where)
        if allowed and default is not None and default not in allowed:
            self.wrong(f"the default {shown(default)} is none of its EnumValues.", where)
        return Parameter(name, kind, default, tuple(allowed))

    def steps(self, where: str, items: Any, branch: Branch | None) -> Iterator[Step]:
        for place, item in self.objects(where, items):
            name = self.name("step", place, item)
            if name is None:
                continue
            step = self.step(name, item, branch)
            yield step
            if step.type == "Condition":
                inner = f"Step '{name}': Arguments"
                yield from self.steps(f"{inner}.IfSteps", step.arguments.get("IfSteps"), Branch(name, True))
                yield from self.steps(f"{inner}.ElseSteps", step.arguments.get("ElseSteps"), Branch(name, False))

    def step(self, name: str, item: Mapping[str, Any], branch: Branch | None) -> Step:
        where, kind = f"Step '{name}'", item.get("Type")
        arguments = item.get("Arguments")
        if not isinstance(arguments, dict | None):
            self.wrong(f"Arguments must be an object, not {shown(arguments)}.", where)
            arguments = {}
        if not isinstance(kind, str):
            self.wrong(f"its Type must be text, not {shown(kind)}." if "Type" in item else "it has no Type.", where)
            kind = ""
        elif kind not in members.STEP_TYPES:
            self.wrong(f"the type '{kind}' is not one of steps; {suggestion(kind, members.STEP_TYPES)}", where)
        own = members.STEP_TYPES.get(kind)
        if own is not None:
            self.members(where, item, members.STEP + own)
        described = {member: item[member] for member in ("DisplayName", "Description") if item.get(member) is not None}
        for member, value in described.items():
            if not isinstance(value, str):
                self.wrong(f"{member} must be text, not {shown(value)}.", where)
        cache = item.get("CacheConfig") or {}
        return Step(
            name=name,
            type=kind,
            arguments=arguments or {},
            depends_on=self.dependencies(where, item.get("DependsOn") or []),
            branch=branch,
            cache_seconds=self.cache(f"{where}: CacheConfig", cache),
            retries=tuple(
                policy
                for place, entry in self.objects(f"{where}: RetryPolicies", item.get("RetryPolicies"))
                if (policy := self.retry(place, entry)) is not None
            ),
            property_files=dict(self.property_files(f"{where}: PropertyFiles", item.get("PropertyFiles"))),
            description=described,
            extra={key: value for key, value in item.items() if key not in members.STEP and value is not None},
        )

    def property_files(self, where: str, items: Any) -> Iterator[tuple[str, PropertyFile]]:
        for place, entry in self.objects(where, items):
            self.members(place, entry, members.PROPERTY_FILE)
            parts = [entry.get(member) for member in members.PROPERTY_FILE]
            if not all(isinstance(part, str) for part in parts):
                self.wrong("a property file needs PropertyFileName, OutputName and FilePath, each of them text.", place)
                continue
            name, output, path = map(str, parts)
            yield name, PropertyFile(output, path)

    def dependencies(self, where: str, entries: Any) -> dict[str, Trigger]:
        if not isinstance(entries, list):
            self.wrong("DependsOn must be a list.", where)
            return {}
        triggers: dict[str, Trigger] = {}
        for index, entry in enumerate(entries):
            name, trigger = self.dependency(f"{where}: DependsOn[{index}]", entry)
            if name is not None and triggers.setdefault(name, trigger) != trigger:
                self.wrong(
                    f"DependsOn names '{name}' with the triggers {triggers[name]} and {trigger}; "
                    "a step that may follow several ends has the trigger Any.",
                    where,
                )
        return triggers

    def dependency(self, where: str, entry: Any) -> tuple[str | None, Trigger]:
        if isinstance(entry, str):
            return entry, Trigger.COMPLETED
        if not isinstance(entry, dict) or not isinstance(entry.get("Step"), str):
            self.wrong(f"{shown(entry)} is neither a name nor {{Step, Trigger}}.", where)
            return None, Trigger.COMPLETED
        self.members(where, entry, members.DEPENDENCY)
        trigger = entry.get("Trigger", Trigger.COMPLETED)
        if trigger not in list(Trigger):
            self.wrong(f"the trigger {shown(trigger)} is none of {', '.join(Trigger)}.", where)
            trigger = Trigger.COMPLETED
        return entry["Step"], Trigger(trigger)

    def cache(self, where: str, config: Any) -> float | None:
        if not isinstance(config, dict) or not isinstance(config.get("Enabled", False), bool):
            self.wrong("must be an object whose Enabled is true or false.", where)
            return None
        self.members(where, config, members.CACHE)
        text = config.get("ExpireAfter")
        seconds = float("inf") if text is None else self.seconds(where, text)
        return seconds if config.get("Enabled") else None

    def seconds(self, where: str, text: Any) -> float:
        """ISO-8601 durations, read as leniently as AWS does: the P may be missing, letters may be small."""
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        if match is None or not any(match.groups()):
            self.wrong(f"ExpireAfter {shown(text)} is not an ISO-8601 duration such as P30D or PT1H.", where)
            return 0.0
        return float(sum(int(count or 0) * unit for count, unit in zip(match.groups(), _UNITS, strict=True)))

    def retry(self, where: str, policy: dict[str, Any]) -> RetryPolicy | None:
        before = len(self.found)
        self.members(where, policy, members.RETRY)
        policy = {name: value for name, value in policy.items() if value is not None}
        if "MaxAttempts" in policy and "ExpireAfterMin" in policy:
            self.wrong("a retry policy has MaxAttempts or ExpireAfterMin, not both.", where)
        kinds = policy.get("ExceptionType")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not isinstance(kinds, list) or not kinds or not all(kind in _EXCEPTIONS for kind in kinds):
            self.wrong(f"ExceptionType must be one or a list of {', '.join(_EXCEPTIONS)}.", where)
        expires = "ExpireAfterMin" in policy
        interval = self.number(where, policy, "IntervalSeconds", 1, 43200, least=True)
        backoff = self.number(where, policy, "BackoffRate", 2.0, 1000)
        attempts = None if expires else int(self.number(where, policy, "MaxAttempts", 5, 20))
        until = self.number(where, policy, "ExpireAfterMin", 0, 14400) * 60 if expires else None
        if len(self.found) > before:
            return None
        return RetryPolicy(frozenset(kinds or ()), interval, backoff, attempts, until)

    def number(
        self, where: str, policy: Mapping[str, Any], member: str, default: float, most: float, *, least: bool = False
    ) -> float:
        """``least``: whether 0 itself will do."""
        value = policy.get(member, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or (
            value == 0 and not least
        ):  # fmt: skip
            self.wrong(f"{member} is {shown(value)}, not between 0 and {most}.", where)
            return default
        return float(value)
