"""Check the parameters that a user chose for one run against the run's definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from shared.errors import ParameterError

OWN = frozenset({"DataSet", "Fingerprint"})  # the trigger sets them: they identify the content of the run
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
MAX_SHOWN = 100  # characters of a value in a message
MAX_LENGTH = 1024  # characters of a value: API reference, Parameter


def check(definition: Mapping[str, Any], chosen: Mapping[str, str]) -> None:
    """Raises ParameterError for a parameter that the definition does not have, or a value of another type."""
    declared = {item["Name"]: item for item in definition.get("Parameters", []) if item["Name"] not in OWN}
    for name, value in chosen.items():
        known = declared.get(name)
        if known is None:
            raise ParameterError(
                f"the pipeline has no parameter {name!r} that a run may choose",
                hint=f"headrace run --set NAME=VALUE   # one of {', '.join(declared) or 'none: it has no parameters'}",
            )
        if problem := _problem(known, value):
            raise ParameterError(f"{name} is {value[:MAX_SHOWN]!r}, {problem}", hint=f"headrace run --set {name}=VALUE")


def _problem(declared: Mapping[str, Any], value: str) -> str | None:
    kind, allowed = declared.get("Type", "String"), declared.get("EnumValues")
    if len(value) > MAX_LENGTH:
        return f"which is longer than {MAX_LENGTH} characters"
    if allowed and value not in map(str, allowed):
        return f"not one of {', '.join(map(str, allowed))}"
    if kind == "Integer" and not WHOLE.fullmatch(value):
        return "not a whole number"
    if kind == "Float" and not _is_number(value):
        return "not a number"
    if kind == "Boolean" and value.lower() not in ("true", "false"):
        return "not true or false"
    return None


def _is_number(value: str) -> bool:
    try:
        return isfinite(float(value))
    except ValueError:
        return False
