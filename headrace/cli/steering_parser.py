"""Arguments of the commands that steer runs and the served version; `parser.py` adds them to the rest."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from headrace.cli.argument_types import count, interval, seconds

Commands = argparse._SubParsersAction  # argparse has no public name for it
SHELLS = ("bash", "zsh", "fish")


class ShowVersion(argparse.Action):
    """`--version`. importlib.metadata takes half the time of the parser, so only this imports it."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser._print_message(f"headrace {version('headrace')}\n", sys.stdout)
        parser.exit()


def add_run_steering(commands: Commands[argparse.ArgumentParser]) -> None:
    stop = _command(
        commands,
        "stop",
        "stop a run",
        "Stops its jobs, waits until it has ended, and says which steps were stopped and what was billed. "
        "`headrace run --again` starts another one on the same data.",
    )
    stop.add_argument("execution", nargs="?", metavar="RUN", help="its id, ARN or name (default: the one going on)")
    stop.add_argument(
        "--wait", action=argparse.BooleanOptionalAction, default=True, help="wait until it has ended (default: yes)"
    )
    stop.add_argument("--interval", type=interval, default=2.0, help=argparse.SUPPRESS)

    evaluation = _command(
        commands,
        "evaluation",
        "show the figures of a run or a model version on the test set",
        "With precision, recall and F1 of each class and the confusion matrix. With more than 20 classes it shows the "
        "worst classes and the most frequent confusions. --json prints the whole report.",
    )
    evaluation.add_argument(
        "name",
        nargs="?",
        metavar="RUN|VERSION",
        help="a run's id, ARN or name, a version's number, or latest for the newest version (default: the newest run "
        "that was evaluated)",
    )
    evaluation.add_argument("--all", action="store_true", help="show every class and the whole matrix")
    evaluation.add_argument("--csv", type=Path, metavar="FILE", help="write the confusion matrix to FILE as CSV")

    compare = _command(
        commands,
        "compare",
        "show how runs or model versions differ",
        "Compares parameters, data set, code and figures. Shows only what differs, and marks the best figure with *.",
    )
    compare.add_argument(
        "names", nargs="+", metavar="RUN|VERSION", help="two or more: a run's id, ARN or name, or a version's number"
    )
    compare.add_argument("--all", action="store_true", help="also show what is the same")

    notices = _command(
        commands,
        "notices",
        "list the notices that were sent, newest first",
        "With what happened and what to do about it. Also shows who is subscribed to them.",
    )
    notices.add_argument("--limit", type=count, default=10, metavar="N", help="how many; 0 for all (default: 10)")


def add_registry_steering(commands: Commands[argparse.ArgumentParser]) -> None:
    rollback = _command(
        commands,
        "rollback",
        "serve an earlier approved version",
        "Rejects every approved version above it with a note. The endpoint serves the newest approved version, so it "
        "goes back, and stays there until a newer version is approved. Shows what it does before it does it; "
        "`headrace approve` undoes it.",
    )
    rollback.add_argument(
        "version", nargs="?", metavar="VERSION", help="its number (default: the approved version before the newest)"
    )
    rollback.add_argument("--note", metavar="TEXT", help="why; kept with the rejected versions")
    rollback.add_argument("--dry-run", action="store_true", help="only show what would be done")

    repair = _command(
        commands,
        "repair",
        "bring the endpoint to the newest approved version",
        "For an endpoint that was deleted, moved or broken by hand. Deploys what the registry wants, also if it was "
        "rolled back before.",
    )
    repair.add_argument(
        "--wait", type=seconds, default=0.0, metavar="SECONDS", help="how long to wait for the endpoint (default: 0)"
    )
    repair.add_argument("--interval", type=interval, default=2.0, help=argparse.SUPPRESS)


def add_shell(commands: Commands[argparse.ArgumentParser]) -> None:
    config = _command(
        commands,
        "config",
        "show the settings of the environment",
        "With value, default, where it is set and what it means. docs/settings.md lists all settings.",
    )
    config.add_argument("setting", nargs="?", metavar="SETTING", help="only this one, such as quiet_seconds")

    images = _command(
        commands,
        "images",
        "show the container images, and pin them to a digest",
        "A tag can be moved to another image, a digest cannot. Asks ECR with your own credentials, which need "
        "ecr:BatchGetImage.",
    )
    images.add_argument("--pin", action="store_true", help="write what each tag stands for now into environments.toml")

    completion = _command(
        commands,
        "completion",
        "print a script that completes commands and options in a shell",
        'For bash: eval "$(headrace completion bash)". For zsh: eval "$(headrace completion zsh)". '
        "For fish: headrace completion fish | source.",
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def _command(commands: Commands[argparse.ArgumentParser], name: str, short: str, more: str) -> argparse.ArgumentParser:
    description = f"{short[0].upper()}{short[1:]}. {more}"
    return commands.add_parser(name, help=short, description=description, allow_abbrev=False)
