"""The CDK's own command line, pointed at the local cloud and at nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from botocore.exceptions import ClientError

from headrace.environment import LOCAL, Environment
from headrace.errors import SetupError, is_missing
from headrace.local import UNSET, Running, exports
from headrace.output import Output
from headrace.project import find_root, state_folder

_BOOTSTRAP_STACK = "CDKToolkit"
_TAIL = 25  # lines of the log that an error shows


def deploy(environment: Environment, output: Output) -> None:
    """`cdk bootstrap` once, then `cdk deploy` of the real app. Raises SetupError with the end of the log."""
    output.note("cdk deploy …")
    running = environment.running
    assert running is not None, "AWS is deployed to with `cdk deploy -c env=NAME`"
    if not _is_bootstrapped(environment):
        run(["bootstrap", f"aws://{running.account}/{running.region}"], running)
    run(["deploy", "--all", "--require-approval", "never", "-c", f"env={LOCAL}"], running)
    output.note(f"{environment.stack.name} is {environment.stack.status}, its bucket {environment.stack.data_bucket}")
    output.next(environment.command("upload FOLDER"), "class folders of images; a run starts by itself")


def destroy(environment: Environment, output: Output) -> None:
    """`cdk destroy` of the app."""
    assert environment.running is not None
    output.note("cdk destroy …")
    run(["destroy", "--all", "--force", "-c", f"env={LOCAL}"], environment.running)
    output.note("the stack is gone")


def run(arguments: list[str], running: Running) -> None:
    root = find_root()
    if root is None:
        raise SetupError("no cdk.json here or above", hint="cd into the project")
    log = state_folder() / "cdk.log"
    command = ["npx", "--no-install", "cdk", *arguments, "--output", str(state_folder() / "cdk.out")]
    try:
        with log.open("w") as file:
            done = subprocess.run(command, cwd=root, env=_environment(root, running), stdout=file, stderr=file)
    except FileNotFoundError as error:
        raise SetupError("npx is not on PATH, so the CDK cannot run", hint="make install") from error
    if done.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
        raise SetupError(f"cdk {arguments[0]} failed:\n{end}", hint=f"{log} has the whole story")


def _environment(root: Path, running: Running) -> dict[str, str]:
    """This process's, with the project's tools first and every AWS variable replaced."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name not in UNSET}
    return (
        kept
        | exports(running)
        | {
            "PATH": f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
            "CI": "true",  # no colours, no questions
        }
    )


def _is_bootstrapped(environment: Environment) -> bool:
    with environment.doing("looking for the CDK's bootstrap stack"):
        try:
            environment.client("cloudformation").describe_stacks(StackName=_BOOTSTRAP_STACK)
        except ClientError as error:
            if is_missing(error):
                return False
            raise
    return True
