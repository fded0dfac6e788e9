"""The CDK's own command line, pointed at the local cloud and at nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from botocore.exceptions import ClientError

from headrace.environment import Environment
from headrace.errors import SetupError, is_missing
from headrace.local import UNSET, exports
from headrace.output import Output
from headrace.project import find_root, state_folder

_BOOTSTRAP_STACK = "CDKToolkit"
_TAIL = 25  # lines of the log that an error shows


def deploy(environment: Environment, output: Output) -> None:
    """`cdk bootstrap` once, then `cdk deploy` of the real app. Raises SetupError with the end of the log."""
    output.note("cdk deploy …")
    _deploy(environment, "env")
    stack = environment.stack
    if stack.promotes_from:
        output.note(f"{stack.name} is {stack.status}; it serves what {stack.promotes_from} approves")
        output.next(environment.command("models"), "what there is to serve; deploy its source again to grant it that")
        return
    output.note(f"{stack.name} is {stack.status}, its bucket {stack.data_bucket}")
    output.next(environment.command("upload FOLDER"), "class folders of images; a run starts by itself")


def deploy_catalog(environment: Environment, output: Output) -> None:
    """What the environment's account needs to offer the project template, as far as the local cloud has it."""
    output.note("cdk deploy of the catalog …")
    _deploy(environment, "catalog")


def _deploy(environment: Environment, what: str) -> None:
    assert environment.running is not None, f"AWS is deployed to with `cdk deploy -c {what}=NAME`"
    if not _is_bootstrapped(environment):
        run(["bootstrap", f"aws://{environment.account}/{environment.region}"], environment)
    run(["deploy", "--all", "--require-approval", "never", *_chosen(environment, what)], environment)


def destroy(environment: Environment, output: Output) -> None:
    """`cdk destroy` of the app."""
    assert environment.running is not None
    output.note("cdk destroy …")
    run(["destroy", "--all", "--force", *_chosen(environment)], environment)
    output.note("the stack is gone")


def synthesize(environment: Environment, folder: Path) -> None:
    """The app's templates into `folder`, as `cdk deploy` would send them."""
    said = f"npx cdk synth -c env={environment.name}   # says the rest"  # the log goes with the folder
    _run(["synth", "--quiet", *_chosen(environment)], environment, output=folder, log=folder / "cdk.log", hint=said)


def synthesize_project(environment: Environment, folder: Path) -> None:
    """The project template into `folder`/project."""
    said = "npx cdk synth -c project=true   # says the rest"
    _run(["synth", "--quiet", "-c", "project=true"], environment, output=folder, log=folder / "cdk.log", hint=said)


def _chosen(environment: Environment, what: str = "env") -> list[str]:
    return ["-c", f"{what}={environment.name}", *(["-c", "local=true"] if environment.running else [])]


def run(arguments: list[str], environment: Environment) -> None:
    """One command of the CDK against the local cloud. Raises SetupError with the end of the log."""
    log = state_folder() / "cdk.log"
    _run(arguments, environment, output=state_folder() / "cdk.out", log=log, hint=f"{log} has the whole story")


def _run(arguments: list[str], environment: Environment, *, output: Path, log: Path, hint: str) -> None:
    root = find_root()
    if root is None:
        raise SetupError("no cdk.json here or above", hint="cd into the project")
    command = ["npx", "--no-install", "cdk", *arguments, "--output", str(output)]
    try:
        with log.open("w") as file:
            done = subprocess.run(command, cwd=root, env=_variables(root, environment), stdout=file, stderr=file)
    except FileNotFoundError as error:
        raise SetupError("npx is not on PATH, so the CDK cannot run", hint="make install") from error
    if done.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
        raise SetupError(f"cdk {arguments[0]} failed:\n{end}", hint=hint)


def _variables(root: Path, environment: Environment) -> dict[str, str]:
    """This process's, with the project's tools first; for the local cloud, with every AWS variable replaced."""
    variables = {**os.environ, "PATH": f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    if environment.running is not None:
        kept = {key: value for key, value in variables.items() if not key.startswith("AWS_") and key not in UNSET}
        variables = kept | exports(environment.running, account=str(environment.account), region=environment.region)
    return variables | {"CI": "true"}  # no colours, no questions


def _is_bootstrapped(environment: Environment) -> bool:
    with environment.doing("looking for the CDK's bootstrap stack"):
        try:
            environment.client("cloudformation").describe_stacks(StackName=_BOOTSTRAP_STACK)
        except ClientError as error:
            if is_missing(error):
                return False
            raise
    return True
