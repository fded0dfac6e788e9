"""Read and check environment variables. Each function has a dataclass `Environment` that these functions fill."""

import json
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from shared.errors import SettingError


def text(source: Mapping[str, str], name: str) -> str:
    value = source.get(name, "")
    if not value:
        raise SettingError(
            f"the environment variable {name} is not set", hint="deploy the stack again: it sets every variable"
        )
    return value


def whole_number(source: Mapping[str, str], name: str, *, low: int, high: int) -> int:
    value = text(source, name)
    if not value.isdecimal() or not low <= int(value) <= high:
        raise SettingError(
            f"the environment variable {name} is {value!r}", hint=f"give a whole number from {low} to {high}"
        )
    return int(value)


def number(source: Mapping[str, str], name: str) -> float:
    """A number above 0."""
    try:
        value = float(text(source, name))
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise SettingError(f"the environment variable {name} is {source[name]!r}", hint="give a number above 0")
    return value


def named_numbers(source: Mapping[str, str], name: str) -> dict[str, float]:
    def fits(item: Any) -> bool:
        return type(item) in (int, float) and 0 < item < inf

    return _object(text(source, name), name, " of numbers above 0", fits)


def named_texts(source: Mapping[str, str], name: str, *, default: str | None = None) -> dict[str, str]:
    value = text(source, name) if default is None else source.get(name) or default
    return _object(value, name, " of strings", lambda item: isinstance(item, str))


def lists_of_texts(source: Mapping[str, str], name: str) -> dict[str, list[str]]:
    return _object(text(source, name), name, " of lists of strings", _is_texts)


def texts_and_lists(source: Mapping[str, str], name: str) -> dict[str, str | list[str]]:
    what = " of strings and lists of strings"
    return _object(text(source, name), name, what, lambda item: isinstance(item, str) or _is_texts(item))


def json_object(source: Mapping[str, str], name: str) -> dict[str, Any]:
    return _object(text(source, name), name, "", lambda item: True)


def texts(source: Mapping[str, str], name: str) -> list[str]:
    """A JSON list of strings."""
    parsed = _json(name, text(source, name))
    if not _is_texts(parsed):
        raise SettingError(
            f"the environment variable {name} holds {source[name]!r}", hint="give a JSON list of strings"
        )
    return list(parsed)


def _object(value: str, name: str, of: str, fits: Callable[[Any], bool]) -> dict[str, Any]:
    """A JSON object whose values all fit; `of` says which do."""
    parsed = _json(name, value)
    if not isinstance(parsed, dict) or not all(map(fits, parsed.values())):
        raise SettingError(f"the environment variable {name} holds {value!r}", hint=f"give a JSON object{of}")
    return parsed


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingError(
            f"the environment variable {name} is not valid JSON: {error}", hint="give a JSON object"
        ) from error
