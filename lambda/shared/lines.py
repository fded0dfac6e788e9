"""Model lines. A line has its own data sets, pipeline, model package group and endpoint.

Every environment has a default line, which is called "" here and whose resources have the environment's name. The
variable LINES declares further ones; a line's name is appended to the default line's: headrace-dev, headrace-dev-pets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from shared.errors import LineError

DEFAULT = ""


def resource_name(default: str, line: str) -> str:
    """The name of the line's pipeline, model package group or endpoint, given that of the default line."""
    return f"{default}-{line}" if line else default


def line_of_data_set(data_set: str, patterns: Mapping[str, Sequence[str]]) -> str:
    """The line whose patterns match the data set's name; the default line if none does.

    Raises LineError if several match.
    """
    found = sorted(line for line, names in patterns.items() if any(fnmatchcase(data_set, name) for name in names))
    if len(found) > 1:
        raise LineError(
            f"the data set {data_set} matches the model lines {' and '.join(found)}, and a data set has one line",
            hint="change their data_sets in environments.toml so that one line matches, deploy, then: headrace redrive",
        )
    return found[0] if found else DEFAULT
