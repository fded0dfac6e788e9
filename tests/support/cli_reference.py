"""docs/cli.md: every command with its arguments, written from the commands themselves."""

from __future__ import annotations

from collections.abc import Container, Iterator

import click
from suite import ROOT

from headrace.cli.main import DESCRIPTION, build

DOCUMENT = ROOT / "docs" / "cli.md"
BAR = "\\|"
COMMAND = "python -m pytest tests/headrace/test_headrace_reference.py --write-cli"


def reference() -> str:
    headrace = build()
    parts = [
        f"# The command line\n\nThis file is written from `headrace/commands/`: `{COMMAND}`.\n\n{DESCRIPTION}\n",
        "## Options of every command\n\nThey come before the command: `headrace --env dev status`.\n\n"
        + _table(headrace),
    ]
    shared = {parameter.name for parameter in headrace.params}
    parts += [_section(command, path, shared) for path, command in every_command() if path]
    return "\n".join(parts)


def every_command() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """headrace itself, and each of its commands by the words that it is typed with."""
    pending: list[tuple[tuple[str, ...], click.Command]] = [((), build())]
    while pending:
        path, command = pending.pop(0)
        yield path, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = [((*path, name), command.get_command(context, name)) for name in command.list_commands(context)]
            pending[:0] = [(inner, each) for inner, each in found if each]


def _section(command: click.Command, path: tuple[str, ...], shared: Container[str]) -> str:
    text = f"{'#' * (len(path) + 1)} headrace {' '.join(path)}\n\n{_text(command.help or '')}\n"
    table = _table(command, shared)
    return f"{text}\n{table}" if table else text


def _table(command: click.Command, shared: Container[str] = ()) -> str:
    """Without the options that every command has, which stand at the top."""
    rows = [
        f"| `{_name(parameter).replace('|', BAR)}` | {_text(getattr(parameter, 'help', None) or '')} |"
        for parameter in command.params
        if parameter.name not in shared and not getattr(parameter, "hidden", False)
    ]
    return "\n".join(["| argument | meaning |", "| --- | --- |", *rows, ""]) if rows else ""


def _name(parameter: click.Parameter) -> str:
    if not isinstance(parameter, click.Option):
        return str(parameter.metavar)
    options = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return options if parameter.is_flag else f"{options} {parameter.metavar}"


def _text(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|").rstrip(".") + "."
