"""The command line's words: every command, argument and help text. The reference in the docs is generated from here."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from headrace.cli.argument_types import assignment as _assignment
from headrace.cli.argument_types import count as _count
from headrace.cli.argument_types import interval as _interval
from headrace.cli.argument_types import moment as _moment
from headrace.cli.argument_types import port as _port
from headrace.cli.argument_types import project_name as _project_name
from headrace.cli.argument_types import seconds as _seconds
from headrace.cli.steering_parser import ShowVersion, add_registry_steering, add_run_steering, add_shell
from headrace.visible import visible_lines

DESCRIPTION = """\
Upload data at one end; a tested, approved, served model comes out at the other.

The same commands serve the local cloud (--env local, the default: no AWS account, no Docker) and every environment
that was deployed to AWS. Data goes to stdout, progress and hints to stderr."""

EPILOG = """\
a first tour:
  headrace up                      start the local cloud
  headrace deploy                  deploy the project into it
  headrace upload FOLDER           send class folders of images; a run starts by itself
  headrace watch                   follow that run
  headrace models                  see what it registered
  headrace approve latest          deploy it
  headrace predict --wait 600 IMAGE   ask the endpoint

Exit status: 0 done, 1 failed (the message says why, and what to try), 2 a mistake on the command line, 130 Ctrl-C.
Environment: HEADRACE_ENV is the default of --env; HEADRACE_STATE is the local cloud's state folder (.headrace)."""


class _Parser(argparse.ArgumentParser):
    """Its errors quote arguments, which a shell may have made of the names of files."""

    def error(self, message: str) -> NoReturn:
        super().error(visible_lines(message))


def build_parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="headrace",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--env",
        metavar="NAME",
        default=os.environ.get("HEADRACE_ENV") or "local",
        help="the environment: local (default), or one deployed to AWS, whose stack is headrace-NAME",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="the environment on this machine: in the local cloud, with the account and the region that it has on AWS",
    )
    parser.add_argument(
        "--project", metavar="NAME", help="work on the SageMaker project of that name instead of the environment's own"
    )
    parser.add_argument(
        "--line", metavar="NAME", help="one model line of an environment that declares several; default: its own line. "
        "Without it commands take all lines, or the one that the data set, run or version belongs to"
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print data as JSON")
    parser.add_argument("--version", action=ShowVersion, help="print the version of this command line")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    _add_local_cloud(commands)
    _add_data_and_runs(commands)
    _add_models(commands)
    add_run_steering(commands)
    add_registry_steering(commands)
    actions = _add_projects(commands)
    add_shell(commands)
    for command in [*commands.choices.values(), *actions.choices.values()]:
        # Also after the command, where people type it; SUPPRESS keeps the value given before it.
        command.add_argument("--env", metavar="NAME", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.add_argument("--local", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.add_argument("--project", metavar="NAME", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.add_argument("--line", metavar="NAME", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print data as JSON")
    return parser


Commands = argparse._SubParsersAction  # the only name argparse has for it


def _command(commands: Commands[argparse.ArgumentParser], name: str, short: str, more: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=short,
        description=f"{short[0].upper()}{short[1:]}. {more}",
        allow_abbrev=False,
    )


def _add_local_cloud(commands: Commands[argparse.ArgumentParser]) -> None:
    up = _command(
        commands, "up", "start the local cloud",
        "AWS on this machine, in one process, with IAM enforced; no account and no Docker. Says so if it is up "
        "already. Deploys nothing. Prints the endpoint.",
    )  # fmt: skip
    up.add_argument(
        "--port", type=_port, metavar="PORT", help="the port to listen on (default: the one it had, or a free one)"
    )
    _command(
        commands, "down", "stop the local cloud", "What it holds stays in the state folder and is there after `up`."
    )
    _command(
        commands, "deploy", "deploy this project",
        "Into the local cloud: cdk bootstrap, once, and cdk deploy of the real app. To AWS: headrace doctor, where "
        "there is no stack yet, and npx cdk deploy -c env=NAME, which asks before it changes permissions.",
    )  # fmt: skip
    init = _command(
        commands, "init", "write an environment into environments.toml",
        "Asks for account, region, capacity and network of the environment that --env names, and keeps everything else "
        "in the file. Without a terminal, what is missing has to be given as options.",
    )  # fmt: skip
    init.add_argument("--account", metavar="NUMBER", help="the AWS account, 12 digits")
    init.add_argument("--region", metavar="REGION", help="the AWS region, such as eu-central-1")
    init.add_argument("--capacity", metavar="CAPACITY", help="spot, on-demand or both")
    init.add_argument("--network", metavar="ACCESS", help="public or vpc")
    init.add_argument("--data", metavar="PATH", help="a folder or an archive, which is inspected first")
    _command(
        commands, "doctor", "check whether the account has what the environment needs",
        "Before anything costs: credentials, account, region, quotas by name, Lambda's concurrency, the CDK's "
        "bootstrap, the stack, images, zones, cost allocation tag and budget. Each problem with its cure; changes "
        "nothing. Ends with status 1 if there is a problem. deploy runs it before a first deployment to AWS.",
    )  # fmt: skip
    _command(
        commands, "destroy", "remove this project from the local cloud",
        "Runs cdk destroy, which removes the data bucket and the models too, as removal in environments.toml says.",
    )  # fmt: skip
    _command(
        commands, "adopt", "have a new stack take over what a destroyed one retained",
        'The data bucket, its key and the model registry, which removal = "retain" keeps. To be followed by a '
        "deployment, which adds the rest.",
    )  # fmt: skip
    _command(
        commands, "publish", "put the project template where other teams start from it",
        "Into the template bucket, which cdk deploy -c catalog=NAME makes (in the local cloud, this command does). "
        "Studio shows it to the users of the roles that the catalog names; headrace projects create uses it as well. "
        "Prints the template's URL.",
    )  # fmt: skip
    interrupt = _command(
        commands, "interrupt", "take the spot capacity of a training job away, once",
        "The job gets SIGTERM, as on AWS, and starts again on a new instance from its last checkpoint.",
    )  # fmt: skip
    interrupt.add_argument("job", metavar="JOB", help="the training job's name; headrace runs --json shows them")
    _command(
        commands, "env", "print the shell variables that send AWS tools to the local cloud",
        'Use it as eval "$(headrace env)": after that, aws, cdk and boto3 in this shell talk to the local cloud and to '
        "nothing else. One exception: version 1 of the AWS CLI has its own addresses for sqs, rds and emr, which "
        "--endpoint-url $AWS_ENDPOINT_URL alone overrides.",
    )  # fmt: skip
    _command(
        commands, "status", "show the environment in a few lines",
        "The local cloud, the stack, the last runs, the versions by approval, the endpoint and the version it serves.",
    )  # fmt: skip


def _add_data_and_runs(commands: Commands[argparse.ArgumentParser]) -> None:
    upload = _command(
        commands, "upload", "send a data set, which starts a run",
        "PATH is a folder of class folders of images (or of train, validation and test folders of class folders), one "
        "with a table (labels.csv, metadata.csv, metadata.jsonl) or the lists of CUB-200-2011, or a .zip, .tar, "
        ".tar.gz, .tar.bz2 or .tar.xz of one. It is read as preprocessing will read it, and refused for the same "
        "reasons. Files that are there already with the same content are not sent again, so an interrupted upload goes "
        "on where it stopped. Prints the data set's S3 URI.",
    )  # fmt: skip
    upload.add_argument("path", type=Path, metavar="PATH", help="a folder or an archive")
    upload.add_argument("--name", metavar="NAME", help="the data set's name (default: the folder's or file's name)")
    upload.add_argument(
        "--delete", action="store_true", help="remove objects of the data set that the folder no longer holds"
    )
    upload.add_argument(
        "--no-check", dest="check", action="store_false", help="send it without reading it: for your own training code"
    )
    inspect = _command(
        commands, "inspect", "show what would be learned from a data set",
        "Layout, classes with the images of each split, what is left out and why, and what is odd or would be refused. "
        "Nothing is sent. Ends with status 0 if preprocessing would take it.",
    )  # fmt: skip
    inspect.add_argument("target", metavar="PATH|DATA_SET", help="a folder, an archive, or a data set in the bucket")
    delete = _command(
        commands, "delete", "remove a data set from the data bucket",
        "All its objects. What was trained on it stays, and a deletion starts no run.",
    )  # fmt: skip
    delete.add_argument("data_set", metavar="DATA_SET", help="its name, as in datasets/NAME")
    delete.add_argument("--yes", action="store_true", help="needed, because the objects are deleted")

    watch = _command(
        commands, "watch", "follow a run until it ends",
        "Shows each step with its duration, cache hits and what spot capacity saved, and of a training step the epoch, "
        "the metric and the time left. Ends "
        "with status 0 if the run succeeded, else 1 with the failed step's reason and the last lines of its log.",
    )  # fmt: skip
    watch.add_argument("execution", nargs="?", metavar="RUN",
                       help="its name, id or ARN (default: the one going on, else the next to start)")  # fmt: skip
    watch.add_argument("--wait-for-start", type=_seconds, metavar="SECONDS",
                       help="how long to wait for a run to start (default: 120, or the environment's quiet_seconds and "
                       "a minute, if that is more)")  # fmt: skip
    watch.add_argument("--after", type=_moment, metavar="TIME",
                       help="also take a run that started at this time or later and has ended, like "
                       "2026-01-31T12:00:00Z (default: now)")  # fmt: skip
    watch.add_argument("--data-set", metavar="NAME", help="wait for a run on this data set, whatever else starts")
    watch.add_argument("--interval", type=_interval, default=2.0, metavar="SECONDS",
                       help="how often to ask (default: 2)")  # fmt: skip

    runs = _command(
        commands, "runs", "list runs, newest first",
        "With data set, accuracy on the test set, the share of spot training time that was not billed and its worth, "
        "what the run's jobs cost and the most that they might have cost, and the reason of a failure. Money is USD at "
        "the prices in prices.toml; runs of the local cloud show what the same seconds cost on AWS. --json adds "
        "parameters, steps and each job's billed seconds and cost.",
    )  # fmt: skip
    runs.add_argument("--limit", type=_count, default=20, metavar="N", help="how many; 0 for all (default: 20)")

    run = _command(
        commands, "run", "start a run on data that has been run before",
        "A run starts by itself when data changes; this asks for one more on the same data, for example after a "
        "failure or with other parameters. Needs --again or --set, because it starts paid jobs on AWS.",
    )  # fmt: skip
    run.add_argument("--again", action="store_true", help="start a run on data that has been run already")
    run.add_argument(
        "--set", type=_assignment, action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of the pipeline for this run, such as Epochs=3; may be repeated",
    )  # fmt: skip
    run.add_argument("data_set", nargs="?", metavar="DATA_SET", help="the data set (default: that of the newest run)")

    redrive = _command(
        commands, "redrive", "send dead-lettered messages again",
        "Messages that a function could not process lie in dead-letter queues, with the reason. Shows them, and moves "
        "them back to where they came from.",
    )  # fmt: skip
    redrive.add_argument("--list", action="store_true", help="only show them")

    logs = _command(
        commands, "logs", "print what a run's jobs wrote",
        "Of one step, or of every step that ran a job. `headrace logs STEP` is that step of the newest run.",
    )  # fmt: skip
    logs.add_argument("execution", nargs="?", metavar="RUN", help="its name, id or ARN (default: the newest)")
    logs.add_argument("step", nargs="?", metavar="STEP", help="the step's name, e.g. Preprocess (default: all)")
    logs.add_argument("--tail", type=_count, metavar="N", help="only the last N lines of each step")
    logs.add_argument("--follow", "-f", action="store_true", help="print new lines as they come, until the run ends")


def _add_models(commands: Commands[argparse.ArgumentParser]) -> None:
    _command(
        commands, "models", "list the versions in the model registry, newest first",
        "With approval, accuracy, data set, the run that registered each, and the note of its decision.",
    )  # fmt: skip
    for name, short, more in (
        (
            "approve",
            "approve a model version, which deploys it",
            "Shows its accuracy beside that of the version in use.",
        ),
        (
            "reject",
            "reject a model version",
            "A version in use that is rejected gives way to the newest approved one; without any, it goes on.",
        ),
    ):
        decision = _command(commands, name, short, more)
        decision.add_argument("version", metavar="VERSION", help="its number, or latest")
        decision.add_argument("--note", metavar="TEXT", help="why; kept with the version, at most 1024 characters")
    predict = _command(
        commands, "predict", "ask the endpoint about images",
        "Prints file, label and probability; --json adds the probability of every class. A file that cannot be read as "
        "an image has the reason in its line, and the exit status is then 1.",
    )  # fmt: skip
    predict.add_argument(
        "files", nargs="+", type=Path, metavar="FILE",
        help="images, or folders of them: JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF by their content, not their name",
    )  # fmt: skip
    predict.add_argument("--wait", type=_seconds, default=0.0, metavar="SECONDS",
                         help="how long to wait for the endpoint to serve the newest approved version "
                         "(default: 0)")  # fmt: skip
    predict.add_argument("--interval", type=_interval, default=2.0, help=argparse.SUPPRESS)


def _add_projects(commands: Commands[argparse.ArgumentParser]) -> Commands[argparse.ArgumentParser]:
    """Returns the actions, which are subcommands."""
    projects = _command(
        commands, "projects", "start, list and remove SageMaker projects of the published template",
        "A project is all of this once more, for another team or another data set: its own bucket, pipeline, models "
        "and endpoint. `headrace publish` makes the template; Studio shows it as well. Then --project NAME has the "
        "other commands work on it.",
    )  # fmt: skip
    actions = projects.add_subparsers(
        dest="action", metavar="ACTION", required=True, title="actions", help="list, show, create, update or delete"
    )
    _command(actions, "list", "list the projects", "With status, creation, id and description.")
    show = _command(actions, "show", "show one project", "With its stack, its parameters, and why it failed if it did.")
    create = _command(
        actions, "create", "create a project of the template that was published last",
        "With the launch role's permissions, not your own. Waits until it is complete.",
    )  # fmt: skip
    create.add_argument("--description", default="", metavar="TEXT", help="what it is for")
    update = _command(
        actions, "update", "change a project's parameters, and bring it to the template that was published last",
        "Parameters that are not named keep their values.",
    )  # fmt: skip
    delete = _command(
        actions,
        "delete",
        "delete a project",
        "Its stack goes. Its data and its models go with it or stay, as removal under [projects] in environments.toml "
        "said when the template was published.",
    )
    for action in (create, update):
        action.add_argument(
            "--set", type=_assignment, action="append", default=[], metavar="KEY=VALUE",
            help="a parameter of the template; may be repeated",
        )  # fmt: skip
    update.add_argument(
        "--unset", action="append", default=[], metavar="KEY",
        help="give a parameter the template's default again; may be repeated",
    )  # fmt: skip
    for action in (show, create, update, delete):
        action.add_argument("name", type=_project_name, metavar="NAME", help="the project's name")
    for action in (create, update, delete):
        action.add_argument(
            "--wait", action=argparse.BooleanOptionalAction, default=True, help="wait for the end (default: yes)"
        )
        action.add_argument("--interval", type=_interval, default=2.0, help=argparse.SUPPRESS)
    return actions
