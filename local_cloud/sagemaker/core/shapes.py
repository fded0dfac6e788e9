"""Checks JSON against the shapes of botocore's service model, so that the wire form cannot drift from AWS's.

One walker serves three readers: requests from clients (all constraints), our own responses (a defect of ours when they
do not fit), and the ``Arguments`` of pipeline steps, where a reference such as ``{"Get": "Parameters.X"}`` may stand
for a value. Source of the shapes: botocore's service models.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from pipeline_language.members import shown, unknown_members

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "blob": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
}

_EXPECTED = {  # the types in JSON's words; others are text
    "structure": "an object", "map": "an object", "list": "a list", "integer": "an integer", "long": "an integer",
    "float": "a number", "double": "a number", "boolean": "true or false", "timestamp": "a time",
}  # fmt: skip


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """botocore's model of ``service``; reading it takes about 0.2 s, once per process.

    Members of another service's shapes begin with a capital letter, as pipelines write them.
    """
    model = Loader().load_service_model(service, "service-2")
    if service != "sagemaker":
        model = model | {"shapes": {name: _capitalized(shape) for name, shape in model["shapes"].items()}}
    return ServiceModel(model, service)


def _capitalized(shape: dict[str, Any]) -> dict[str, Any]:
    members = {f"{name[:1].upper()}{name[1:]}": member for name, member in shape.get("members", {}).items()}
    required = [f"{name[:1].upper()}{name[1:]}" for name in shape.get("required", ())]
    return shape | {"members": members, "required": required}


def request_shape(operation: str) -> StructureShape:
    """Of an operation of SageMaker, or, as in ``bedrock:CreateCustomModel``, of another service."""
    service, _, name = operation.rpartition(":")
    shape = service_model(service or "sagemaker").operation_model(name).input_shape
    assert shape is not None, operation
    return shape


def response_shape(operation: str) -> StructureShape | None:
    service, _, name = operation.rpartition(":")
    return service_model(service or "sagemaker").operation_model(name).output_shape


def without_nulls(value: Any) -> Any:
    """The value without the null members of its objects: AWS reads them as absent ones."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def enumeration(name: str) -> tuple[str, ...]:
    """The values of the enumeration of that name."""
    return tuple(service_model().shape_for(name).enum)


@dataclass(frozen=True, slots=True)
class Walk:
    """How a value is held against a shape."""

    constraints: bool = True
    """Whether length, range, pattern and enumeration are checked."""
    reference: Callable[[Any, Shape, str], Iterable[str] | None] = lambda value, shape, where: None
    """What is wrong with a value that stands for one known only later, at its place; None: it is an ordinary value."""
    element: Callable[[str, int], str] = lambda where, index: f"{where}.{index + 1}.member"
    """The place of an element of a list: in AWS's words, or as in a path of a definition."""


def problems(value: Any, shape: Shape, *, where: str = "", walk: Walk = Walk()) -> Iterator[str]:
    """Yields what in ``value`` does not fit ``shape``, in AWS's words; nothing when it fits."""
    of_reference = walk.reference(value, shape, where)
    if of_reference is not None:
        yield from of_reference
    elif isinstance(shape, StructureShape):
        yield from _structure_problems(value, shape, where, walk)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield _wrong_type(value, "list", where)
            return
        yield from _bound_problems(value, len(value), shape, where, "have length", walk)
        for index, item in enumerate(value):
            yield from problems(item, shape.member, where=walk.element(where, index), walk=walk)
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield _wrong_type(value, "map", where)
            return
        yield from _bound_problems(value, len(value), shape, where, "have length", walk)
        for key, item in value.items():
            if walk.constraints:
                yield from _scalar_problems(key, shape.key, f"{where} (key)", walk)
            yield from problems(item, shape.value, where=_join(where, key), walk=walk)
    else:
        yield from _scalar_problems(value, shape, where, walk)


def _structure_problems(value: Any, shape: StructureShape, where: str, walk: Walk) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _wrong_type(value, "structure", where)
        return
    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{_join(where, name)}' failed to satisfy constraint: Member must not be null"
    for problem in unknown_members(value, list(shape.members)):
        yield f"{where or shape.name}: {problem.removesuffix('.')}"
    for name, item in value.items():
        if name in shape.members:
            yield from problems(item, shape.members[name], where=_join(where, name), walk=walk)


def _scalar_problems(value: Any, shape: Shape, where: str, walk: Walk) -> Iterator[str]:
    types = _TYPES[shape.type_name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield _wrong_type(value, shape.type_name, where)
        return
    if not walk.constraints:
        return
    if isinstance(value, str):
        yield from _bound_problems(value, len(value), shape, where, "have length", walk)
        pattern = shape.metadata.get("pattern")
        if pattern and not _matches(pattern, value):
            yield _violation(value, where, f"Member must satisfy regular expression pattern: {pattern}")
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            yield _violation(value, where, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bound_problems(value, value, shape, where, "have value", walk)


def _bound_problems(value: Any, size: float, shape: Shape, where: str, verb: str, walk: Walk) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if walk.constraints and least is not None and size < least:
        yield _violation(value, where, f"Member must {verb} greater than or equal to {least}")
    if walk.constraints and most is not None and size > most:
        yield _violation(value, where, f"Member must {verb} less than or equal to {most}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # some patterns are Java's, which Python's re does not read: they are not checked
        return True


def _violation(value: Any, where: str, constraint: str) -> str:
    text = shown(value).strip("'")
    return f"Value '{text}' at '{where}' failed to satisfy constraint: {constraint}"


def _wrong_type(value: Any, expected: str, where: str) -> str:
    return f"Value {shown(value)} at '{where}' is not {_EXPECTED.get(expected, 'text')}"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
