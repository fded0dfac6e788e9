"""Resolve: finds and replaces the references of the definition language.

``{"Get": "Parameters.X" | "Execution.X" | "Steps.S.path"}``, ``{"Std:Join": {"On", "Values"}}`` and
``{"Std:JsonGet": {"PropertyFile" | "S3Uri", "Path"}}``. Paths follow the Describe responses, in which a list may be
addressed as a map by the name of its elements: ``Outputs['train'].S3Output.S3Uri``.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pipeline_language.definition import DefinitionError

_TOKEN = re.compile(r"""\.?([A-Za-z0-9_\-:]+)|\[(?:'([^']*)'|"([^"]*)")\]|\[(\d+)\]""")
FORMS = ("Get", "Std:Join", "Std:JsonGet")
_ELEMENT_NAMES = ("OutputName", "InputName", "ChannelName", "MetricName", "VariantName", "Name")

Path = tuple[str | int, ...]


class Unresolved(Exception):
    """A reference has no value: the step that uses it fails with this message."""


class Values(Protocol):
    """Where the values come from when a step starts."""

    def parameter(self, name: str) -> Any: ...
    def execution(self, name: str) -> Any: ...
    def step(self, name: str, path: Path) -> Any: ...
    def property_file(self, step: str, name: str) -> Any: ...
    def s3_json(self, uri: str) -> Any: ...


def is_reference(value: Any) -> bool:
    return has_form(value) and len(value) == 1


def has_form(value: Any) -> bool:
    """Whether the value is a reference, or one but for members that it must not have."""
    return isinstance(value, dict) and any(form in value for form in FORMS)


def find_references(value: Any) -> Iterator[str]:
    """Every ``Get`` path in ``value``, however deep."""
    if isinstance(value, dict):
        if is_reference(value) and isinstance(value.get("Get"), str):
            yield value["Get"]
        else:
            for item in value.values():
                yield from find_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from find_references(item)


def split(path: str) -> Path:
    """``"A.B['c'][0]"`` as ``("A", "B", "c", 0)``; raises DefinitionError when it cannot be read."""
    if not path:
        raise DefinitionError("A path is empty.")
    parts: list[str | int] = []
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise DefinitionError(f"'{path}' is not a path: it cannot be read from '{path[position:]}' on.")
        *names, index = match.groups()
        parts.append(int(index) if index is not None else next(name for name in names if name is not None))
        position = match.end()
    return tuple(parts)


def resolve(value: Any, values: Values) -> Any:
    """``value`` with every reference replaced; raises Unresolved when one has no value."""
    if isinstance(value, list):
        return [resolve(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if not is_reference(value):
        return {key: resolve(item, values) for key, item in value.items()}
    if "Get" in value:
        return _get(value["Get"], values)
    if "Std:Join" in value:
        join = value["Std:Join"]
        return str(join.get("On", "")).join(as_text(resolve(item, values)) for item in join["Values"])
    return _json_get(value["Std:JsonGet"], values)


def _get(text: str, values: Values) -> Any:
    root, *path = split(text)
    if root == "Parameters":
        return values.parameter(str(path[0]))
    if root == "Execution":
        return values.execution(str(path[0]))
    return values.step(str(path[0]), tuple(path[1:]))


def _json_get(request: dict[str, Any], values: Values) -> Any:
    if "PropertyFile" in request:
        _, step, _, name = split(request["PropertyFile"]["Get"])
        document = values.property_file(str(step), str(name))
    else:
        document = values.s3_json(str(resolve(request["S3Uri"], values)))
    shown = str(request["Path"])
    return follow(document, json_path(shown), shown)


def json_path(text: str) -> Path:
    """The path of a JsonGet, with or without the ``$`` that stands for the whole document."""
    return split(text.removeprefix("$").removeprefix("."))


def follow(document: Any, path: Path, shown: str) -> Any:
    """The value at ``path``; a list is addressed by index, or by the name that its elements carry."""
    value = document
    for part in path:
        found = list(elements(value, part))
        if not found:
            raise Unresolved(f"'{shown}' has no value: '{part}' is missing.")
        value = found[0]
    return value


def elements(value: Any, part: str | int) -> Iterator[Any]:
    """What ``part`` addresses in ``value``: one value, or none."""
    if isinstance(value, dict):
        if part in value:
            yield value[part]
    elif isinstance(value, list):
        if isinstance(part, str):
            yield from (item for item in value if isinstance(item, dict) and own_name(item) == part)
        elif part < len(value):
            yield value[part]


def own_name(element: dict[str, Any]) -> Any:
    """The name by which an element of a Describe response is known: an output's OutputName, a channel's ChannelName.

    An element may name other things as well: a variant has a VariantName and a ModelName. Its own name is one that
    SageMaker gives to elements of lists; for lists that are not known here, it is the only member called ``…Name``.
    """
    for member in _ELEMENT_NAMES:
        if member in element:
            return element[member]
    names = [member for member in element if member.endswith("Name")]
    return element[names[0]] if len(names) == 1 else None


_number_text: Callable[[float], str] = json.dumps


def write_numbers(text: Callable[[float], str]) -> None:
    """From now on, in every string; how AWS writes floating-point numbers is not documented."""
    global _number_text
    _number_text = text


def as_text(value: Any) -> str:
    """How a value stands in a string: booleans in small letters, lists and maps as JSON, floats as they stand."""
    if isinstance(value, float):
        return _number_text(value)
    return value if isinstance(value, str) else json.dumps(value)
