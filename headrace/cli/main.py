"""`headrace`: parses the command line, runs the command, and prints what went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from headrace.commands.command import Call, Headrace, shared_options
from headrace.invocation import with_path
from headrace.visible import visible_lines

if TYPE_CHECKING:
    from headrace.project.local_cloud import LocalCloud

DESCRIPTION = """\
Upload data at one end; a tested, approved, served model comes out at the other.

The same commands serve the local cloud (--env local, the default: no AWS account, no Docker) and every environment
that was deployed to AWS. Data goes to stdout, progress and hints to stderr."""

EPILOG = """\
\b
a first tour:
  headrace up                      start the local cloud
  headrace deploy                  deploy the project into it
  headrace upload FOLDER           send class folders of images; a run starts by itself
  headrace watch                   follow that run
  headrace models                  see what it registered
  headrace approve latest          deploy it
  headrace predict --wait 600 IMAGE   ask the endpoint

\b
Exit status: 0 done, 1 failed (the message says why, and what to try), 2 a mistake on the command line, 130 Ctrl-C.
Environment: HEADRACE_ENV is the default of --env; HEADRACE_STATE is the local cloud's state folder (.headrace)."""


def main(arguments: Sequence[str] | None = None, *, cloud: LocalCloud | None = None) -> int:
    """Returns the exit status; tests pass their own local cloud."""
    call = Call(cloud, os.environ.get("HEADRACE_ENV") or "local")
    headrace = build()
    try:
        with headrace.make_context("headrace", list(sys.argv[1:] if arguments is None else arguments), obj=call) as ctx:
            headrace.invoke(ctx)
    except click.exceptions.Exit as end:  # after --help and --version
        return end.exit_code
    except click.UsageError as mistake:
        return _refuse(mistake)
    except BrokenPipeError:
        # `headrace runs | head`: the reader has gone, and so must Python's last flush of stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return _fail(error, call)
    return 0


def build() -> Headrace:
    version = click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
        help="print the version of this command line",
    )  # fmt: skip
    params: list[click.Parameter] = [*shared_options(hidden=False), version]
    return Headrace("headrace", help=DESCRIPTION, epilog=EPILOG, params=params)


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # takes half the time of --help

        click.echo(f"headrace {version('headrace')}")
        ctx.exit()


def _refuse(mistake: click.UsageError) -> int:
    """Its message quotes arguments, which a shell may have made of the names of files."""
    assert mistake.ctx
    usage = mistake.ctx.get_usage()
    print(f"u{usage[1:]}\nerror: {visible_lines(mistake.format_message())}", file=sys.stderr)
    print(with_path(f"\nhint: {mistake.ctx.command_path} --help"), file=sys.stderr)
    return mistake.exit_code


def _fail(error: BaseException, call: Call) -> int:
    """Raises what nobody has foreseen."""
    from headrace.errors import HeadraceError, Interrupted, from_disk

    if isinstance(error, KeyboardInterrupt):
        error = Interrupted("interrupted")
    elif isinstance(error, OSError):
        error = from_disk(error)
    if not isinstance(error, HeadraceError):
        raise error
    call.output.error(error)
    return error.exit_status
