"""The settings of an environment as environments.toml has them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from environments.description import DescribedSetting, described_tables
from headrace.errors import SetupError
from headrace.project.folder import find_root

FILE = "environments.toml"
OPTIONAL_TABLES = ("catalog", "delivery")  # shown where the environment has them
KEY_OF_SOURCE = "promotes_from"
# What an environment that promotes takes from its source: the versions that it serves run as their source made them.
FROM_SOURCE = ("inference_image",)


@dataclass(frozen=True, slots=True)
class Setting:
    """`name` holds its table below the environment's, as pipeline.epochs; `where` is "default" or a place in the file.

    `value` is None where it is not set and has no default.
    """

    name: str
    value: Any
    default: Any
    where: str
    meaning: str
    kind: str

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "default": self.default,
            "where": self.where,
            "type": self.kind,
            "meaning": self.meaning,
        }


def settings_of(name: str) -> dict[str, Setting]:
    """The environment's settings by their names."""
    path = _path()
    return {setting.name: setting for setting in read_settings(name, _tables(path), path)}


def read_settings(name: str, tables: Mapping[str, Any], path: Path) -> Iterator[Setting]:
    """The settings of the environment, then of its pipeline, its lines and what else it has tables of."""
    table = tables[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    source = table.get(KEY_OF_SOURCE)
    promoted = source if isinstance(source, str) and isinstance(tables.get(source), dict) else None
    for described in described_settings(""):
        owner = promoted if promoted and described.name in FROM_SOURCE else name
        yield _setting("", described, [(owner, tables[owner])], lines)
    owner = promoted or name
    pipeline = (f"{owner}.pipeline", _section(tables[owner], "pipeline"))
    for described in described_settings("pipeline"):
        yield _setting("pipeline", described, [pipeline], lines)
    for line, declared in _section(table, "lines").items():
        for described in described_settings("lines.NAME"):
            yield _setting(f"lines.{line}", described, [(f"{name}.lines.{line}", declared), (name, table)], lines)
        own = (f"{name}.lines.{line}.pipeline", _section(declared, "pipeline"))
        for described in described_settings("pipeline"):
            if described.name in own[1]:
                yield _setting(f"lines.{line}.pipeline", described, [own, pipeline], lines)
    for key in OPTIONAL_TABLES:
        if key in table:
            for described in described_settings(key):
                yield _setting(key, described, [(f"{name}.{key}", _section(table, key))], lines)


def unknown_settings(name: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the environment that no setting has, such as a misspelled one."""
    table = tables[name]
    known = {item.name for item in described_settings("")}
    inner = {"pipeline", "lines", "images", *OPTIONAL_TABLES}
    yield from (f"{key} in [{name}]" for key in table if key not in known | inner)
    pipeline = {item.name for item in described_settings("pipeline")}
    yield from (f"{key} in [{name}.pipeline]" for key in _section(table, "pipeline") if key not in pipeline)


@cache
def described_settings(table: str) -> tuple[DescribedSetting, ...]:
    """What there is to set in that table below an environment's."""
    return next(described.settings for described in described_tables() if described.table == table)


def _section(table: Any, key: str) -> Mapping[str, Any]:
    """The table below this one; empty where it is missing, or is not a table, which the CDK app refuses."""
    found = table.get(key, {}) if isinstance(table, dict) else {}
    return found if isinstance(found, dict) else {}


def _setting(
    table: str, described: DescribedSetting, places: Sequence[tuple[str, Mapping[str, Any]]], lines: Sequence[str]
) -> Setting:
    """The value of the first of the places that has it, else the default."""
    key = described.name
    value, where = described.default, "default"
    for heading, content in places:
        if key in content:
            value, where = content[key], f"{FILE} [{heading}]{_line(lines, heading, key)}"
            break
    else:
        if described.required:
            where = "missing"
    name = f"{table}.{key}" if table else key
    return Setting(name, value, described.default, where, described.meaning, described.type)


def _line(lines: Sequence[str], heading: str, key: str) -> str:
    """`, line 12`; empty where the file is written in another form than a heading and lines below it."""
    inside = False
    for number, line in enumerate(lines, start=1):
        text = line.split("#")[0].strip()
        if text.startswith("["):
            inside = text == f"[{heading}]"
        elif inside and text.partition("=")[0].strip().strip("\"'") == key:
            return f", line {number}"
    return ""


def _path() -> Path:
    root = find_root()
    path = root / FILE if root else None
    if path is None or not path.is_file():
        raise SetupError(
            f"there is no {FILE} here: no folder from {Path.cwd()} upwards has it beside cdk.json",
            hint="cd into the project",
        )
    return path


def _tables(path: Path) -> dict[str, Any]:
    tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))  # read_target has judged the file
    return tables
