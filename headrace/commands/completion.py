"""A script that completes commands and options in a shell: `headrace completion`.

The script is generated from the parser, so it knows what this version of the command line knows, and starts no process
while somebody types.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.terminal.output import Output

BASH = """\
_headrace() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="" index=1
    while [ "$index" -lt "$COMP_CWORD" ]; do
        case "$command ${{COMP_WORDS[index]}}" in
{steps}
        esac
        index=$((index + 1))
    done
    case "$command $previous" in
{values}
    esac
    case "$command" in
{words}
    esac
}}
complete -F _headrace headrace
"""
ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


@dataclass(frozen=True, slots=True)
class Option:
    names: tuple[str, ...]
    meaning: str
    takes_value: bool
    takes_file: bool


@dataclass(frozen=True, slots=True)
class Command:
    """`path` is empty for headrace itself, and ("projects", "create") for a command of a command."""

    path: tuple[str, ...]
    meaning: str
    words: tuple[str, ...]  # its commands, or the choices of its arguments
    options: tuple[Option, ...]
    takes_file: bool


def show_completion(parser: argparse.ArgumentParser, output: Output, *, shell: str) -> None:
    """The command."""
    output.line(script(parser, shell).rstrip())


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    commands = list(read_commands(parser))
    if shell == "fish":
        return "\n".join(_fish(commands)) + "\n"
    return (ZSH if shell == "zsh" else "") + _bash(commands)


def read_commands(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), meaning: str = "") -> Iterator[Command]:
    """The parser and all its commands, each with what can follow it."""
    words: list[str] = []
    options: list[Option] = []
    takes_file = False
    below: list[tuple[argparse.ArgumentParser, tuple[str, ...], str]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            words += action.choices
            below += [(inner, (*path, name), helps.get(name, "")) for name, inner in action.choices.items()]
        elif not action.option_strings:
            words += [str(choice) for choice in action.choices or ()]
            takes_file = takes_file or action.type is Path
        elif action.help != argparse.SUPPRESS:
            takes_value = action.nargs != 0
            meant = (action.help or "").split("\n")[0]
            options.append(Option(tuple(action.option_strings), meant, takes_value, action.type is Path))
    yield Command(path, meaning, tuple(words), tuple(options), takes_file)
    for inner, inner_path, inner_meaning in below:
        yield from read_commands(inner, inner_path, inner_meaning)


def _bash(commands: list[Command]) -> str:
    steps, values, words = [], [], []
    for command in commands:
        name = " ".join(command.path)
        if command.path:
            before = " ".join(command.path[:-1])
            steps.append(f'            "{before} {command.path[-1]}") command="{name}" ;;')
        for option in command.options:
            if option.takes_value:
                files = 'COMPREPLY=($(compgen -f -- "$word")); return' if option.takes_file else "COMPREPLY=(); return"
                values += [f'        "{name} {flag}") {files} ;;' for flag in option.names]
        known = [*command.words, *(flag for option in command.options for flag in option.names)]
        files = ' $(compgen -f -- "$word")' if command.takes_file else ""
        words.append(f'        "{name}") COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$word"){files}) ;;')
    return BASH.format(steps="\n".join(steps), values="\n".join(values), words="\n".join(words))


def _fish(commands: list[Command]) -> Iterator[str]:
    meanings = {command.path: command.meaning for command in commands}
    for command in commands:
        condition = _fish_condition(command)
        begin = f"complete -c headrace -n {shlex.quote(condition)}"
        if not command.takes_file:
            yield f"{begin} -f"
        for word in command.words:
            yield f"{begin} -a {word} -d {shlex.quote(meanings.get((*command.path, word), ''))}"
        for option in command.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = (" -r -F" if option.takes_file else " -x") if option.takes_value else ""
            yield f"{begin} {names}{value} -d {shlex.quote(option.meaning)}"


def _fish_condition(command: Command) -> str:
    if not command.path:
        return "not __fish_seen_subcommand_from " + " ".join(command.words)
    seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in command.path)
    return f"{seen}; and not __fish_seen_subcommand_from {' '.join(command.words)}" if command.words else seen
