"""What makes a function a command: its options, what it needs, and the options that every command has."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.exceptions import NoSuchCommand

from headrace.commands.table import COMMANDS

if TYPE_CHECKING:  # a command line that is wrong is refused without boto3 and rich
    from headrace.client.environment import Environment
    from headrace.project.local_cloud import LocalCloud
    from headrace.terminal.output import Output

Function = TypeVar("Function", bound=Callable[..., Any])
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
_loaded: dict[str, click.Command] = {}


@dataclass
class Call:
    """One call of headrace, by the options of every command."""

    local_cloud: LocalCloud | None  # another than this project's, for tests
    env: str
    local: bool = False
    project: str | None = None
    line: str | None = None
    json: bool = False

    @cached_property
    def output(self) -> Output:
        from headrace.terminal.output import Output

        return Output(as_json=self.json)

    @cached_property
    def cloud(self) -> LocalCloud:
        from headrace.project.local_cloud import ProcessCloud

        return self.local_cloud or ProcessCloud()

    @property
    def is_local(self) -> bool:
        return self.local or self.env == "local"

    def open(self, training: str | None = None) -> Environment:
        """The environment, its project and its line. `training` is a command for where models are trained."""
        from headrace.client.environment import open_environment
        from headrace.client.projects import choose_project

        environment = open_environment(self.env, self.cloud, rehearsed=self.local)
        if self.project:
            choose_project(environment, self.project)
        if training:
            environment.require_training(training)
        return environment.in_line(self.line) if self.line else environment


class Command(click.Command):
    """One that refuses the options of every command that have no meaning for it."""

    def __init__(self, *, opens: bool, local_only: bool, takes_project: bool, training: str | None, **rest: Any):
        super().__init__(**rest, context_settings=HELP)
        self.params += shared_options(hidden=True)
        self.opens, self.local_only, self.takes_project, self.training = opens, local_only, takes_project, training

    def invoke(self, ctx: click.Context) -> None:
        call = ctx.find_object(Call)
        assert call
        assert self.callback
        self._check(call, ctx.command_path.split()[1])
        if self.opens:
            self.callback(call.open(self.training), call.output, **ctx.params)
        else:
            self.callback(call, **ctx.params)

    def _check(self, call: Call, name: str) -> None:
        from headrace.client.environment import LINE_COMMANDS
        from headrace.errors import UsageError

        if self.local_only and not call.is_local:
            raise UsageError(
                f"{name} concerns the local cloud, and {call.env} is on AWS",
                hint=f"headrace --local --env {call.env} {name}   # {call.env} on this machine",
            )
        if call.project and (self.local_only or not self.takes_project):
            raise UsageError(f"--project has no meaning for {name}", hint=f"leave --project {call.project} out")
        if call.line and name not in LINE_COMMANDS:
            raise UsageError(f"--line has no meaning for {name}", hint=f"leave --line {call.line} out")
        if not call.is_local and os.environ.get("AWS_ENDPOINT_URL"):
            call.output.warn(f"AWS_ENDPOINT_URL is set: talking to {os.environ['AWS_ENDPOINT_URL']}, not to AWS")


class Group(click.Group):
    """Its commands in the order of their definition. Without one it is a mistake, which needs no page of help."""

    def __init__(self, name: str, **rest: Any) -> None:
        super().__init__(name, no_args_is_help=False, context_settings=HELP, **rest)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


class Headrace(Group):
    """Every command, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in COMMANDS:
            raise NoSuchCommand(cmd_name, possibilities=COMMANDS, ctx=ctx)
        import_module(f"headrace.commands.{COMMANDS[cmd_name][0]}")
        return _loaded[cmd_name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])


def command(
    name: str, more: str, *, short: str | None = None, group: click.Group | None = None, opens: bool = True,
    local_only: bool = False, takes_project: bool = True, training: str | None = None,
) -> Callable[[Function], Function]:  # fmt: skip
    """The function below is the command `name`; it can be called as before.

    Args:
        more: what its help says after the one line in `COMMANDS`, or `short` for a command of a `group`.
        opens: it is called with the opened environment and the output; otherwise with the `Call`.
        local_only: it concerns the local cloud.
        takes_project: `--project` has a meaning for it.
        training: it concerns the place where models are trained; how the command is typed there.
    """
    line = short or COMMANDS[name][1]

    def decorate(function: Function) -> Function:
        made = click.command(
            name, Command, help=sentence(line, more), short_help=line, opens=opens, local_only=local_only,
            takes_project=takes_project, training=training,
        )(function)  # fmt: skip
        if group is None:
            _loaded[name] = made
        else:
            group.add_command(made)
        return function

    return decorate


def command_group(name: str, more: str) -> click.Group:
    """A command that has commands itself."""
    line = COMMANDS[name][1]
    params: list[click.Parameter] = [*shared_options(hidden=True)]
    _loaded[name] = group = Group(name, help=sentence(line, more), short_help=line, params=params)
    return group


def sentence(line: str, more: str) -> str:
    return f"{line[0].upper()}{line[1:]}. {more}"


def shared_options(*, hidden: bool) -> list[click.Option]:
    """The options of every command: shown before the command, `hidden` after it, where people also type them."""

    def option(name: str, text: str, **rest: Any) -> click.Option:
        return click.Option([name], help=text, callback=_keep, expose_value=False, **rest)

    return [
        option("--env", "the environment: local (default), or one deployed to AWS, whose stack is headrace-NAME",
               metavar="NAME", hidden=hidden),
        option("--local", "the environment on this machine: in the local cloud, with the account and the region that "
               "it has on AWS", is_flag=True, hidden=hidden),
        option("--project", "work on the SageMaker project of that name instead of the environment's own",
               metavar="NAME", hidden=hidden),
        option("--line", "one model line of an environment that declares several; default: its own line. Without it "
               "commands take all lines, or the one that the data set, run or version belongs to",
               metavar="NAME", hidden=hidden),
        option("--json", "print data as JSON", is_flag=True),
    ]  # fmt: skip


def _keep(ctx: click.Context, option: click.Parameter, value: object) -> None:
    call = ctx.find_object(Call)
    if call and value not in (None, False):
        setattr(call, str(option.name), value)
