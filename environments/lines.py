"""Model lines as environments.toml declares them: [<environment>.lines.<name>].

A line is one question asked of data. It has its own data sets, pipeline, model package group, champion, gate and
endpoint. What no line's patterns match belongs to the default line, which is the environment itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Any

from environments.endpoints import InstanceCount
from environments.patterns import common_name
from environments.typed_table import SettingsError, typed_values
from pipeline_definition import PipelineSettings, PipelineSettingsError, limits
from pipeline_definition.limits import Items, Pattern, Problem

KEY = "lines"
DEFAULT = "default"  # what commands call the environment's own line
MOST_LINES = 5  # a role's inline policies hold 10,240 characters; the deployer's take about 1,200 a line
LONGEST_PATTERNS = 800  # characters in all: the variables of a function hold 4 KB

# headrace-<20 characters>-<line>-v<6 digits>-<8 digits> has at most 63 characters, as endpoint configurations do.
NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")

DataSet = Annotated[
    str,
    Pattern(
        re.compile("[^/]+"),
        hint='a data set is named without datasets/ and without a slash, e.g. "pets", "pets.zip" or "pets*"',
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """One line. `data_sets` are patterns of fnmatch. What is None is as the environment has it."""

    data_sets: Annotated[tuple[DataSet, ...], Items(1, hint='name its data sets or give patterns, e.g. ["pets*"]')]
    """Patterns of the names of the data sets that belong to the line, such as pets*."""
    endpoint_instance_type: str | None = None
    """As in the environment, for the endpoint of this line."""
    endpoint_instance_count: InstanceCount | None = None
    """As in the environment, for the endpoint of this line."""
    pipeline: PipelineSettings


def load_lines(table: Mapping[str, Any], pipeline: PipelineSettings, where: str) -> dict[str, LineSettings]:
    """The lines of an environment, each with the environment's `pipeline` where its own table says nothing.

    Raises SettingsError for a key or a value that is not as it should be.
    """
    declared = table.get(KEY, {})
    if not isinstance(declared, dict):
        raise SettingsError(f"{KEY} is {declared!r}", f"{where}]", f"declare each line as a table {where}.{KEY}.NAME]")
    lines = {}
    for name, line in declared.items():
        values = typed_values(line, LineSettings, f"{where}.{KEY}.{name}]", tables=frozenset({"pipeline"}))
        own = load_pipeline(line, f"{where}.{KEY}.{name}.pipeline]", pipeline)
        lines[name] = LineSettings(**values, pipeline=own)
    return lines


def load_pipeline(table: Mapping[str, Any], where: str, base: PipelineSettings) -> PipelineSettings:
    """What the table's own table `pipeline` says, and the rest of `base`."""
    own = typed_values(table.get("pipeline", {}), PipelineSettings, where)
    try:
        return replace(base, **own)
    except PipelineSettingsError as error:
        raise SettingsError(error.what, where, error.hint) from error


def declared_lines(lines: Mapping[str, LineSettings]) -> str:
    """The lines and the patterns of their data sets, as the trigger and the command line read them."""
    return json.dumps({name: line.data_sets for name, line in lines.items()}, sort_keys=True, separators=(",", ":"))


def line_problems(environment: str, lines: Mapping[str, LineSettings]) -> Iterator[Problem]:
    """What is wrong with the lines' names and data sets, each with a hint."""
    if len(lines) > MOST_LINES:
        yield (
            f"it declares {len(lines)} lines, and the roles' policies have room for {MOST_LINES}",
            "move some to another environment",
        )
    patterns = {name: line.data_sets for name, line in lines.items()}
    size = len(declared_lines(lines))
    if size > LONGEST_PATTERNS:
        yield (
            f"the lines and their data_sets have {size} characters, and the function's variable has room for "
            f"{LONGEST_PATTERNS}",
            'use patterns: "pets*" instead of a list of names',
        )
    for name, line in lines.items():
        yield from _name_problems(environment, name)
        yield from limits.problems(line, f" of the line {name}")
    for (one, first), (other, second) in combinations(patterns.items(), 2):
        for left in first:
            for right in second:
                if (both := common_name(left, right)) is not None:
                    yield (
                        f"the lines {one} and {other} both take data sets like {both!r}: {left!r} and {right!r} "
                        "overlap",
                        "change data_sets of one of them: a data set belongs to one line",
                    )


def _name_problems(environment: str, name: str) -> Iterator[Problem]:
    if not NAME.fullmatch(name) or name == DEFAULT:
        yield (
            f"{name!r} cannot be the name of a line",
            f"use at most 16 lower-case letters, digits and hyphens, other than {DEFAULT}: it becomes part of "
            "resource names",
        )
    if "-v" in name or re.match("v[0-9]", name):
        yield (
            f"the name of the line {name!r} looks like a version",
            "choose a name without -v, and not v with a number: models are called <endpoint>-v<number>",
        )
    if "-p-" in f"-{environment}-{name}-":
        yield (
            f"the resources of the line {name!r} would be called headrace-{environment}-{name}",
            "choose a name that makes no -p- in it: that marks the resources of projects",
        )


def require_distinct_names(environments: Mapping[str, Any], file: str, project: str) -> None:
    """Raises SettingsError if a line's resources would have the names of another environment's."""
    owners: dict[str, str] = {}
    for environment, table in environments.items():
        lines = table.get(KEY, {}) if isinstance(table, dict) else {}
        for line in ("", *(lines if isinstance(lines, dict) else ())):
            resources = f"{project}-{environment}-{line}" if line else f"{project}-{environment}"
            table_name = f"{environment}.{KEY}.{line}" if line else environment
            if resources in owners:
                raise SettingsError(
                    f"its resources would be called {resources}, as those of [{owners[resources]}] are",
                    f"{file} [{table_name}]",
                    "rename the line or the environment",
                )
            owners[resources] = table_name
