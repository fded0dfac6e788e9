"""Read and check environment variables. Each function has a dataclass `Environment` that these functions fill."""

import json
from collections.abc import Mapping
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
    """A JSON object of numbers above 0."""
    parsed = _json(name, text(source, name))
    if not isinstance(parsed, dict) or not all(
        type(item) in (int, float) and 0 < item < inf for item in parsed.values()
    ):
        raise SettingError(
            f"the environment variable {name} holds {source[name]!r}", hint="give a JSON object of numbers above 0"
        )
    return parsed


def named_texts(source: Mapping[str, str], name: str, *, default: str | None = None) -> dict[str, str]:
    """A JSON object of strings."""
    value = text(source, name) if default is None else source.get(name) or default
    parsed = _json(name, value)
    if not isinstance(parsed, dict) or not all(isinstance(item, str) for item in parsed.values()):
        raise SettingError(f"the environment variable {name} holds {value!r}", hint="give a JSON object of strings")
    return parsed


def lists_of_texts(source: Mapping[str, str], name: str) -> dict[str, list[str]]:
    """A JSON object of lists of strings."""
    parsed = _json(name, text(source, name))
    if not isinstance(parsed, dict) or not all(map(_is_texts, parsed.values())):
        raise SettingError(
            f"the environment variable {name} holds {source[name]!r}", hint="give a JSON object of lists of strings"
        )
    return parsed


def texts_and_lists(source: Mapping[str, str], name: str) -> dict[str, str | list[str]]:
    """A JSON object of strings and lists of strings."""
    parsed = _json(name, text(source, name))
    if not isinstance(parsed, dict) or not all(isinstance(item, str) or _is_texts(item) for item in parsed.values()):
        raise SettingError(
            f"the environment variable {name} holds {source[name]!r}",
            hint="give a JSON object of strings and lists of strings",
        )
    return parsed


def json_object(source: Mapping[str, str], name: str) -> dict[str, Any]:
    parsed = _json(name, text(source, name))
    if not isinstance(parsed, dict):
        raise SettingError(f"the environment variable {name} holds {source[name]!r}", hint="give a JSON object")
    return parsed


def texts(source: Mapping[str, str], name: str) -> list[str]:
    """A JSON list of strings."""
    parsed = _json(name, text(source, name))
    if not _is_texts(parsed):
        raise SettingError(
            f"the environment variable {name} holds {source[name]!r}", hint="give a JSON list of strings"
        )
    return list(parsed)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise SettingError(
            f"the environment variable {name} is not valid JSON: {error}", hint="give a JSON object"
        ) from error
