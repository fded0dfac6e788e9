"""The CDK's own command line, pointed at the local cloud and at nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from headrace.client.environment import Environment
from headrace.commands.command import command
from headrace.errors import SetupError
from headrace.project import training_code
from headrace.project.folder import find_root, read_target, state_folder
from headrace.project.local_cloud import UNSET, exports
from headrace.terminal.output import Output

_BOOTSTRAP_STACK = "CDKToolkit"
_TAIL = 25  # lines of the log that an error shows
_LEAST_FREE = 2**20  # bytes: less fits no template
_DISK_FULL = re.compile("ENOSPC|No space left on device|EDQUOT|Disk quota exceeded")
_OF_THE_APP = re.compile(r"^error: (.*?)\nhint: (.*?)$", re.MULTILINE | re.DOTALL)  # as app.py ends


def deploy(environment: Environment, output: Output) -> None:
    """`cdk bootstrap` once, then `cdk deploy` of the real app. Raises SetupError with the end of the log."""
    _refuse_other_kind(environment)
    _check_training_code(environment, output)
    output.note("cdk deploy …")
    _deploy(environment, "env")
    stack = environment.stack
    if stack.promotes_from:
        output.note(f"{stack.name} is {stack.status}; it serves what {stack.promotes_from} approves")
        output.next(environment.command("models"), "what there is to serve; deploy its source again to grant it that")
        return
    output.note(f"{stack.name} is {stack.status}, its bucket {stack.data_bucket}")
    output.next(environment.command("upload FOLDER"), "class folders of images; a run starts by itself")


def _check_training_code(environment: Environment, output: Output) -> None:
    root = find_root()
    if root is None or read_target(environment.name).promotes_from:
        return
    output.note("importing the training code …")
    training_code.check(root, list(read_target(environment.name).networks))


def _refuse_other_kind(environment: Environment) -> None:
    """infra/stacks/choose.py has CloudFormation refuse it as well, in its own words."""
    stack = environment.find_stack(environment.stack_name) or {}
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if not outputs:
        return
    served, wanted = outputs.get("PromotesFrom"), read_target(environment.name).promotes_from
    if bool(served) != bool(wanted):
        is_now = f"serves what {served} approves" if served else "trains, and holds data and models"
        becomes = f"only serve what {wanted} approves" if wanted else "train"
        raise SetupError(
            f"{environment.stack_name} {is_now}; as environments.toml has it now, it would {becomes}. That is another "
            "stack: an update would delete what this one holds",
            hint=f"{environment.command('destroy')}   # if that is meant; else put promotes_from back as it was",
        )


def deploy_catalog(environment: Environment, output: Output) -> None:
    """What the environment's account needs to offer the project template, as far as the local cloud has it."""
    output.note("cdk deploy of the catalog …")
    _deploy(environment, "catalog")


def _deploy(environment: Environment, what: str) -> None:
    assert environment.running is not None, f"AWS is deployed to with `cdk deploy -c {what}=NAME`"
    if environment.find_stack(_BOOTSTRAP_STACK) is None:
        run(["bootstrap", f"aws://{environment.account}/{environment.region}"], environment)
    run(["deploy", "--all", "--require-approval", "never", *_chosen(environment, what)], environment)


@command(
    "destroy", "Runs cdk destroy, which removes the data bucket and the models too, as removal in environments.toml "
    "says.", local_only=True,
)  # fmt: skip
def destroy(environment: Environment, output: Output) -> None:
    """`cdk destroy` of the app."""
    assert environment.running is not None
    stack = environment.find_stack(environment.stack_name)
    if stack is None:
        output.note(f"there is no stack {environment.stack_name}")
        return
    if stack.get("EnableTerminationProtection"):
        raise SetupError(
            f'the stack {environment.stack_name} is protected, as removal is not "destroy"',
            hint=f'eval "$({environment.command("env")})"; '
            "aws cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {environment.stack_name}   # then again",
        )
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
    with log.open("w") as file:
        try:
            done = subprocess.run(command, cwd=root, env=_variables(root, environment), stdout=file, stderr=file)
        except FileNotFoundError as error:
            raise SetupError("npx is not on PATH, so the CDK cannot run", hint="make install") from error
    if done.returncode != 0:
        said = log.read_text(errors="replace")
        if of_the_app := _OF_THE_APP.search(said):
            raise SetupError(of_the_app[1], hint=of_the_app[2])
        folder = output.parent
        if _DISK_FULL.search(said) or shutil.disk_usage(folder).free < _LEAST_FREE:
            raise SetupError(
                f"cdk {arguments[0]} failed: the disk of {folder} is full",
                hint=f"make room (df -h {folder}), or name a folder on another disk with HEADRACE_STATE",
            )
        if arguments[0] == "deploy" and "already exists" in said:
            hint = f"{environment.command('adopt')}   # if that is what a destroyed stack left; {hint}"
        end = "\n".join(said.splitlines()[-_TAIL:])
        raise SetupError(f"cdk {arguments[0]} failed:\n{end}", hint=hint)


def _variables(root: Path, environment: Environment) -> dict[str, str]:
    """This process's, with the project's tools first; for the local cloud, with every AWS variable replaced."""
    variables = {**os.environ, "PATH": f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    if environment.running is not None:
        kept = {key: value for key, value in variables.items() if not key.startswith("AWS_") and key not in UNSET}
        variables = kept | exports(environment.running, account=str(environment.account), region=environment.region)
        variables |= _home(root)
    return variables | {"CI": "true"}  # no colours, no questions


def _home(root: Path) -> dict[str, str]:
    """The state folder as the home, since the CDK reads ~/.cdk.json. jsii's 150 MB of packages are kept in .venv, or
    beside the state where somebody else made the installation.

    The user's choices about the CDK's telemetry and npm's notices are in the home folder, so here both are off.
    """
    cache = root / ".venv" / "jsii"
    if not os.access(cache if cache.exists() else cache.parent, os.W_OK):
        cache = state_folder() / "jsii"
    return {
        "HOME": str(state_folder()),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(cache),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    }
