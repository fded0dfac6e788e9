"""A script that completes commands and options in a shell: `headrace completion`.

The script is generated from the commands themselves, so it knows what this version of the command line knows, and
starts no process while somebody types.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import click

from headrace.commands.command import Call, command

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
SHELLS = ("bash", "zsh", "fish")
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


@command(
    "completion", 'For bash: eval "$(headrace completion bash)". For zsh: eval "$(headrace completion zsh)". For '
    "fish: headrace completion fish | source.", takes_project=False, opens=False,
)  # fmt: skip
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL", help="bash, zsh or fish")
def show_completion(call: Call, *, shell: str) -> None:
    call.output.line(script(click.get_current_context().find_root(), shell).rstrip())


def script(headrace: click.Context, shell: str) -> str:
    commands = list(read_commands(headrace))
    if shell == "fish":
        return "\n".join(_fish(commands)) + "\n"
    return (ZSH if shell == "zsh" else "") + _bash(commands)


def read_commands(context: click.Context, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """The context's command and all that it has, each with what can follow it."""
    command = context.command
    inner = {}
    if isinstance(command, click.Group):
        inner = {name: command.get_command(context, name) for name in command.list_commands(context)}
    words, options, takes_file = [*inner], [], False
    for parameter in command.get_params(context):
        file = isinstance(parameter.type, click.Path)
        if isinstance(parameter, click.Option):
            if not parameter.hidden:
                names = (*parameter.opts, *parameter.secondary_opts)
                options.append(Option(names, parameter.help or "", not parameter.is_flag, file))
        else:
            words += getattr(parameter.type, "choices", ())
            takes_file = takes_file or file
    yield Command(path, command.short_help or "", tuple(words), tuple(options), takes_file)
    for name, each in inner.items():
        assert each
        yield from read_commands(click.Context(each, parent=context), (*path, name))


def _bash(commands: list[Command]) -> str:
    steps, values, words = [], [], []
    for each in commands:
        name = " ".join(each.path)
        if each.path:
            before = " ".join(each.path[:-1])
            steps.append(f'            "{before} {each.path[-1]}") command="{name}" ;;')
        for option in each.options:
            if option.takes_value:
                files = 'COMPREPLY=($(compgen -f -- "$word")); return' if option.takes_file else "COMPREPLY=(); return"
                values += [f'        "{name} {flag}") {files} ;;' for flag in option.names]
        known = [*each.words, *(flag for option in each.options for flag in option.names)]
        files = ' $(compgen -f -- "$word")' if each.takes_file else ""
        words.append(f'        "{name}") COMPREPLY=($(compgen -W "{" ".join(known)}" -- "$word"){files}) ;;')
    return BASH.format(steps="\n".join(steps), values="\n".join(values), words="\n".join(words))


def _fish(commands: list[Command]) -> Iterator[str]:
    meanings = {each.path: each.meaning for each in commands}
    for each in commands:
        condition = _fish_condition(each)
        begin = f"complete -c headrace -n {shlex.quote(condition)}"
        if not each.takes_file:
            yield f"{begin} -f"
        for word in each.words:
            yield f"{begin} -a {word} -d {shlex.quote(meanings.get((*each.path, word), ''))}"
        for option in each.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            value = (" -r -F" if option.takes_file else " -x") if option.takes_value else ""
            yield f"{begin} {names}{value} -d {shlex.quote(option.meaning)}"


def _fish_condition(command: Command) -> str:
    if not command.path:
        return "not __fish_seen_subcommand_from " + " ".join(command.words)
    seen = "; and ".join(f"__fish_seen_subcommand_from {name}" for name in command.path)
    return f"{seen}; and not __fish_seen_subcommand_from {' '.join(command.words)}" if command.words else seen
