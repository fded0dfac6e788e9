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
from typing import Any

from environments.patterns import common_name
from environments.typed_table import SettingsError, typed_values
from pipeline_definition import PipelineSettings, PipelineSettingsError

KEY = "lines"
DEFAULT = "default"  # what commands call the environment's own line
MOST_LINES = 5  # a role's inline policies hold 10,240 characters; the deployer's take about 1,200 a line
LONGEST_PATTERNS = 800  # characters in all: the variables of a function hold 4 KB

# headrace-<20 characters>-<line>-v<6 digits>-<8 digits> has at most 63 characters, as endpoint configurations do.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """One line. `data_sets` are patterns of fnmatch. What is None is as the environment has it."""

    data_sets: tuple[str, ...]
    """Patterns of the names of the data sets that belong to the line, such as pets*."""
    endpoint_instance_type: str | None = None
    """As in the environment, for the endpoint of this line."""
    endpoint_instance_count: int | None = None
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
        outer, inner = f"{where}.{KEY}.{name}]", f"{where}.{KEY}.{name}.pipeline]"
        values = typed_values(line, LineSettings, outer, tables=frozenset({"pipeline"}))
        own = typed_values(line.get("pipeline", {}), PipelineSettings, inner)
        try:
            lines[name] = LineSettings(**values, pipeline=replace(pipeline, **own))
        except PipelineSettingsError as error:
            raise SettingsError(error.what, inner, error.hint) from error
    return lines


def declared_lines(lines: Mapping[str, LineSettings]) -> str:
    """The lines and the patterns of their data sets, as the trigger and the command line read them."""
    return json.dumps({name: line.data_sets for name, line in lines.items()}, sort_keys=True, separators=(",", ":"))


def line_problems(environment: str, lines: Mapping[str, LineSettings]) -> Iterator[tuple[str, str]]:
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
        yield from _pattern_problems(name, line.data_sets)
    for (one, first), (other, second) in combinations(patterns.items(), 2):
        for left in first:
            for right in second:
                if (both := common_name(left, right)) is not None:
                    yield (
                        f"the lines {one} and {other} both take data sets like {both!r}: {left!r} and {right!r} "
                        "overlap",
                        "change data_sets of one of them: a data set belongs to one line",
                    )


def _name_problems(environment: str, name: str) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(name) or name == DEFAULT:
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


def _pattern_problems(name: str, patterns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if not patterns:
        yield f"data_sets of the line {name} is empty", 'name its data sets or give patterns, e.g. ["pets*"]'
    for pattern in patterns:
        if not pattern or "/" in pattern:
            yield (
                f"data_sets of the line {name} holds {pattern!r}",
                'a data set is named without datasets/ and without a slash, e.g. "pets", "pets.zip" or "pets*"',
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
