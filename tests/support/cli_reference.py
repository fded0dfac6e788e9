"""docs/cli.md: every command with its arguments, written from the parser itself.

argparse's own help text differs between Python versions, so it is not used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from suite import ROOT

from headrace.cli.parser import DESCRIPTION, build_parser

DOCUMENT = ROOT / "docs" / "cli.md"
BAR = "\\|"
COMMAND = "python -m pytest tests/headrace/test_headrace_reference.py --write-cli"


def reference() -> str:
    parser = build_parser()
    parts = [
        f"# The command line\n\nThis file is written from `headrace/cli/parser.py`: `{COMMAND}`.\n\n{DESCRIPTION}\n",
        "## Options of every command\n\nThey come before the command: `headrace --env dev status`.\n\n"
        + _table(parser, root=True),
    ]
    parts += [_command(name, child, help_text) for name, child, help_text in _children(parser)]
    return "\n".join(parts)


def _command(name: str, parser: argparse.ArgumentParser, help_text: str) -> str:
    text = f"## headrace {name}\n\n{_text(parser.description or help_text)}\n"
    if table := _table(parser):
        text += f"\n{table}"
    for child, child_parser, child_help in _children(parser):
        text += f"\n### headrace {name} {child}\n\n{_text(child_parser.description or child_help)}\n"
        if table := _table(child_parser):
            text += f"\n{table}"
    return text


def _children(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, child in action.choices.items():
                yield name, child, helps.get(name, "")


def _table(parser: argparse.ArgumentParser, *, root: bool = False) -> str:
    """Without the options that every command has, which stand at the top."""
    common = {action.dest for action in build_parser()._actions}
    rows = [
        f"| `{_name(action).replace('|', BAR)}` | {_text(action.help or '')} |"
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
        and action.help != argparse.SUPPRESS
        and (root or action.dest not in common)
    ]
    return "\n".join(["| argument | meaning |", "| --- | --- |", *rows, ""]) if rows else ""


def _name(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else None
    value = str(action.metavar or choices or action.dest)
    if not action.option_strings:
        return {"?": f"[{value}]", "*": f"[{value} ...]", "+": f"{value} [{value} ...]"}.get(str(action.nargs), value)
    options = ", ".join(action.option_strings)
    takes_value = action.nargs != 0
    return (
        f"{options} {value if action.option_strings and action.metavar else value.upper()}" if takes_value else options
    )


def _text(text: str) -> str:
    return (text[:1].upper() + text[1:]).replace("|", "\\|").replace("%%", "%").rstrip(".") + "."
