"""`headrace deploy`. On AWS the account is looked at before the first deployment, then the CDK deploys."""

from __future__ import annotations

import os
import subprocess

from headrace.client.environment import Environment
from headrace.commands import cdk
from headrace.commands.command import command
from headrace.commands.doctor.command import require_healthy
from headrace.errors import SetupError
from headrace.project.folder import find_root, read_target
from headrace.terminal.output import Output


@command(
    "deploy", "Into the local cloud: cdk bootstrap, once, and cdk deploy of the real app. To AWS: headrace doctor, "
    "where there is no stack yet, and npx cdk deploy -c env=NAME, which asks before it changes permissions.",
    takes_project=False,
)  # fmt: skip
def deploy(environment: Environment, output: Output) -> None:
    (_deploy_to_aws if environment.running is None else cdk.deploy)(environment, output)


def _deploy_to_aws(environment: Environment, output: Output) -> None:
    """`npx cdk deploy`, with the terminal for its questions.

    Raises:
        SetupError: there is no stack yet and `headrace doctor` has found a problem, or the CDK fails.
    """
    root = find_root()
    assert root is not None, "read_target has read the file beside cdk.json"
    stack = environment.find_stack(environment.stack_name)
    if stack is None:
        output.note(f"{environment.stack_name} is not deployed yet: headrace doctor looks at the account first")
        require_healthy(environment, output)
    command = ["npx", "--no-install", "cdk", "deploy", "-c", f"env={environment.name}"]
    output.note(" ".join(command))
    variables = {**os.environ, "PATH": f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    target = read_target(environment.name)
    if target.profile:
        variables["AWS_PROFILE"] = target.profile
    try:
        done = subprocess.run(command, cwd=root, env=variables)
    except FileNotFoundError as error:
        raise SetupError("npx is not on PATH, so the CDK cannot run", hint="make install") from error
    if done.returncode != 0:
        raise SetupError(
            f"cdk deploy ended with status {done.returncode}",
            hint=f"{environment.command('doctor')}; its own words are above. Where S3 could not validate a destination "
            "at a first deployment, deploy again: a queue's policy takes a moment to hold",
        )
    if target.promotes_from:
        output.next(environment.command("models"), "what there is to serve; deploy its source again to grant it that")
    else:
        output.next(environment.command("upload FOLDER"), "class folders of images; a run starts by itself")
