"""What a deployment rests on: the CDK and its bootstrap, the stack, names, functions' concurrency, the data's key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem
from headrace.errors import error_code, is_missing
from headrace.project.folder import find_root
from headrace.project.settings import settings_of

BOOTSTRAP_STACK, BOOTSTRAP_VERSION = "CDKToolkit", 6  # the rule CheckBootstrapVersion of the template asks for it
CONCURRENCY = 10  # 3 queues with 2 each, and functions that runs, deployments and the schedule call
DEAD = ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS")
STUCK = "UPDATE_ROLLBACK_FAILED"


def check_tools(environment: Environment) -> Iterator[Finding]:
    root = find_root()
    path = os.pathsep.join([*([str(root / ".venv" / "bin")] if root else []), os.environ.get("PATH", "")])
    if shutil.which("npx", path=path) is None:
        yield problem("cdk", "npx is not on PATH, so the CDK cannot run", hint="make install")
    else:
        yield ok("cdk", "npx is there")


def check_bootstrap(environment: Environment) -> Iterator[Finding]:
    again = f"npx cdk bootstrap -c env={environment.name}"
    stack = environment.find_stack(BOOTSTRAP_STACK)
    if stack is None:
        if environment.running is not None:
            yield ok("bootstrap", "headrace deploy makes it in the local cloud")
            return
        yield problem("bootstrap", f"there is no stack {BOOTSTRAP_STACK} in {environment.region}", hint=again)
        return
    if stack["StackStatus"].endswith("_FAILED") or stack["StackStatus"] in DEAD:
        yield problem(
            "bootstrap",
            f"the stack {BOOTSTRAP_STACK} is {stack['StackStatus']}",
            hint=f"aws cloudformation delete-stack --stack-name {BOOTSTRAP_STACK}; {again}",
        )
        return
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    version = int(outputs.get("BootstrapVersion", 0))
    if version < BOOTSTRAP_VERSION:
        found = f"the bootstrap is version {version}, and the stack needs {BOOTSTRAP_VERSION}"
        yield problem("bootstrap", found, hint=f"{again}   # updates it")
    else:
        yield ok("bootstrap", f"version {version}")


def check_stack(environment: Environment) -> Iterator[Finding]:
    name = environment.stack_name
    stack = environment.find_stack(name)
    if stack is None:
        yield ok("stack", f"{name} is not deployed yet")
        yield from _taken(environment)
    elif stack["StackStatus"] in DEAD:
        yield problem(
            "stack",
            f"{name} is {stack['StackStatus']}: CloudFormation does not update such a stack",
            hint=f"aws cloudformation delete-stack --stack-name {name}; then deploy again",
        )
    elif stack["StackStatus"] == STUCK:
        yield problem(
            "stack",
            f"{name} is {STUCK}",
            hint="have CloudFormation continue the rollback (console: Stack actions), then deploy again",
        )
    else:
        yield ok("stack", f"{name} is {stack['StackStatus']}")


def _taken(environment: Environment) -> Iterator[Finding]:
    """A model package group has the environment's name; CloudFormation refuses to create one that is there."""
    with environment.doing(f"looking for a model package group {environment.stack_name}"):
        try:
            environment.client("sagemaker").describe_model_package_group(ModelPackageGroupName=environment.stack_name)
        except ClientError as error:
            if not is_missing(error):
                raise
            return
    yield problem(
        "names",
        f"there is a model package group {environment.stack_name} already, and no stack",
        hint=f"{environment.command('adopt')}   # if a destroyed stack retained it; else delete it",
    )


def check_functions(environment: Environment) -> Iterator[Finding]:
    """New accounts have 10 executions at once, all functions of the region together."""
    with environment.doing("reading the account's limits of Lambda"):
        limit = environment.client("lambda").get_account_settings()["AccountLimit"]
    free, total = limit["UnreservedConcurrentExecutions"], limit["ConcurrentExecutions"]
    found = f"{free} of {total} concurrent executions are not reserved, and the functions need {CONCURRENCY}"
    if free < CONCURRENCY:
        link = (
            f"https://{environment.region}.console.aws.amazon.com/servicequotas/home/services/lambda/quotas/L-B99A9384"
        )
        yield problem("lambda", found, hint=f"ask AWS for more: {link}; or reserve less for other functions")
    else:
        yield ok("lambda", found)


def check_data_key(environment: Environment) -> Iterator[Finding]:
    key = settings_of(environment.name)["data_key"].value
    if key is None:
        return
    with environment.doing("looking up the key of the data"):
        try:
            state = environment.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        except ClientError as error:
            if error_code(error) != "NotFoundException":
                raise
            state = "not there"
    if state == "Enabled":
        yield ok("data key", key)
    else:
        yield problem(
            "data key",
            f"{key} is {state}",
            hint=f"enable it, correct data_key under [{environment.name}] in environments.toml, or leave it out: then "
            "the stack makes a key",
        )
