"""The settings of an environment as environments.toml has them: `headrace config`.

What a setting is, its default and its meaning come from environments/description.py.
"""

from __future__ import annotations

import json
from typing import Any

import click

from headrace.commands.command import Call, command
from headrace.errors import NotFound
from headrace.project.folder import LOCAL, read_target
from headrace.project.settings import FILE, Setting, _path, _tables, read_settings, unknown_settings

COLUMNS = ("setting", "value", "default", "where", "meaning")


@command(
    "config", "With value, default, where it is set and what it means. docs/settings.md lists all settings.",
    takes_project=False, opens=False,
)  # fmt: skip
@click.argument("setting", required=False, metavar="[SETTING]", help="only this one, such as quiet_seconds")
def show_config(call: Call, *, setting: str | None) -> list[Setting]:
    """The command."""
    name, output = call.env, call.output
    read_target(name)  # judges the file and the environment's name
    path = _path()
    tables = _tables(path)
    found = list(read_settings(name, tables, path))
    if setting is not None:
        found = _chosen(found, setting, name)
    rows = [[it.name, toml(it.value), toml(it.default), it.where, it.meaning] for it in found]
    output.table(COLUMNS, rows, [it.as_data() for it in found])
    for unknown in unknown_settings(name, tables):
        output.warn(f"{unknown} is not a setting: the next deployment refuses it")
    output.note(f"a change in {FILE} takes effect with the next deployment; docs/settings.md lists all settings")
    return found


def toml(value: Any) -> str:
    """As it is written in the file; `-` for what is not set."""
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _chosen(found: list[Setting], name: str, environment: str) -> list[Setting]:
    chosen = [setting for setting in found if name in (setting.name, setting.name.rpartition(".")[2])]
    if not chosen:
        raise NotFound(
            f"{environment} has no setting {name!r}; it has {', '.join(setting.name for setting in found)}",
            hint="headrace config" if environment == LOCAL else f"headrace --env {environment} config",
        )
    return chosen
