"""Checks JSON against the shapes of botocore's service model, so that the wire form cannot drift from AWS's.

One walker serves three readers: requests from clients (all constraints), our own responses (a defect of ours when they
do not fit), and the ``Arguments`` of pipeline steps, where a reference such as ``{"Get": "Parameters.X"}`` may stand
for any value. Source of the shapes: botocore's ``sagemaker`` and ``sagemaker-runtime`` models.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

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


@cache
def service_model(service: str = "sagemaker") -> ServiceModel:
    """botocore's model of ``service``; reading it takes about 0.2 s, once per process."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def request_shape(operation: str) -> StructureShape:
    shape = service_model().operation_model(operation).input_shape
    assert shape is not None, operation
    return shape


def response_shape(operation: str) -> StructureShape | None:
    return service_model().operation_model(operation).output_shape


def enumeration(name: str) -> tuple[str, ...]:
    """The values of the enumeration of that name."""
    return tuple(service_model().shape_for(name).enum)


def problems(
    value: Any,
    shape: Shape,
    *,
    where: str = "",
    is_reference: Callable[[Any], bool] = lambda value: False,
    constraints: bool = True,
) -> Iterator[str]:
    """Yields what in ``value`` does not fit ``shape``, in AWS's words; nothing when it fits.

    ``is_reference`` says which values stand for something known only later: they fit any shape.
    ``constraints`` switches the checks of length, range, pattern and enumeration.
    """
    if is_reference(value):
        return
    if isinstance(shape, StructureShape):
        yield from _structure_problems(value, shape, where, is_reference, constraints)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield _wrong_type(value, "list", where)
            return
        if constraints:
            yield from _bound_problems(value, len(value), shape, where, "have length")
        for index, item in enumerate(value):
            yield from problems(
                item,
                shape.member,
                where=f"{where}.{index + 1}.member",
                is_reference=is_reference,
                constraints=constraints,
            )
    elif isinstance(shape, MapShape):
        if not isinstance(value, dict):
            yield _wrong_type(value, "map", where)
            return
        if constraints:
            yield from _bound_problems(value, len(value), shape, where, "have length")
        for key, item in value.items():
            if constraints:
                yield from _scalar_problems(key, shape.key, f"{where} (key)", constraints)
            yield from problems(
                item, shape.value, where=f"{where}.{key}", is_reference=is_reference, constraints=constraints
            )
    else:
        yield from _scalar_problems(value, shape, where, constraints)


def _structure_problems(
    value: Any, shape: StructureShape, where: str, is_reference: Callable[[Any], bool], constraints: bool
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _wrong_type(value, "structure", where)
        return
    for name in shape.required_members:
        if name not in value:
            yield f"Value null at '{_join(where, name)}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:
            known = ", ".join(shape.members)
            yield f"Unknown member '{name}' at '{where or shape.name}'; known members: {known}"
        else:
            yield from problems(
                item, member, where=_join(where, name), is_reference=is_reference, constraints=constraints
            )


def _scalar_problems(value: Any, shape: Shape, where: str, constraints: bool) -> Iterator[str]:
    types = _TYPES[shape.type_name]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield _wrong_type(value, shape.type_name, where)
        return
    if not constraints:
        return
    if isinstance(value, str):
        yield from _bound_problems(value, len(value), shape, where, "have length")
        pattern = shape.metadata.get("pattern")
        if pattern and not _matches(pattern, value):
            yield _violation(value, where, f"Member must satisfy regular expression pattern: {pattern}")
        allowed = shape.metadata.get("enum")
        if allowed and value not in allowed:
            yield _violation(value, where, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bound_problems(value, value, shape, where, "have value")


def _bound_problems(value: Any, size: float, shape: Shape, where: str, verb: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _violation(value, where, f"Member must {verb} greater than or equal to {least}")
    if most is not None and size > most:
        yield _violation(value, where, f"Member must {verb} less than or equal to {most}")


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # some patterns are Java's, which Python's re does not read: they are not checked
        return True


def _violation(value: Any, where: str, constraint: str) -> str:
    shown = value if len(str(value)) <= 100 else f"{str(value)[:100]}…"
    return f"Value '{shown}' at '{where}' failed to satisfy constraint: {constraint}"


def _wrong_type(value: Any, expected: str, where: str) -> str:
    return f"Value '{str(value)[:100]}' at '{where}' is a {type(value).__name__}, not a {expected}"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
