"""A Python function with its own role and log group; the role may write that log and nothing else."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from aws_cdk import Duration, IgnoreMode, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.parts.nag import NIST, acknowledge

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
}

COPIED = ("data_sets", "run_costs", "source_code")  # packages that functions import, beside lambda/shared


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """What all functions of a stack have in common: the code, and for how many days their logs are kept."""

    code: lambda_.Code
    log_retention_days: int


def lambda_code(root: Path, *, log_retention_days: int) -> FunctionCode:
    """The whole `lambda/` folder with the COPIED packages in it. Each function is a package; `shared` is for all."""
    left_out = ["__pycache__", "*.pyc", ".*", "tests"]
    folder = mkdtemp()
    atexit.register(shutil.rmtree, folder)  # CDK copies the files when the first function is made
    shutil.copytree(root / "lambda", folder, dirs_exist_ok=True)
    for package in COPIED:
        shutil.copytree(root / package, Path(folder, package))
    code = lambda_.Code.from_asset(folder, exclude=left_out, ignore_mode=IgnoreMode.GIT)
    return FunctionCode(code, log_retention_days)


def custom_resource_function(scope: Construct, code: FunctionCode, description: str) -> LambdaFunction:
    return LambdaFunction(
        scope,
        "Deployment",
        code=code,
        package="custom_resource",
        description=description,
        timeout=Duration.minutes(15),
        when_it_fails="CloudFormation waits for its answer, and fails the deployment when there is none.",
    )


class LambdaFunction(Construct):
    """`package` is the folder under `lambda/` whose `handler.handle` is called.

    `when_it_fails` says who notices a failed call. The function has no dead-letter queue, which only asynchronous
    calls would use.

    It gets 1,024 MB for the CPU that comes with them: importing boto3 takes a second with 256 MB.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        code: FunctionCode,
        package: str,
        description: str,
        timeout: Duration,
        when_it_fails: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.timeout = timeout
        self.log_group = logs.LogGroup(
            self, "Log", retention=RETENTION[code.log_retention_days], removal_policy=RemovalPolicy.DESTROY
        )
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=description
        )
        self.log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"{package}.handler.handle",
            code=code.code,
            description=description,
            timeout=timeout,
            memory_size=1024,
            role=self.role,
            log_group=self.log_group,
            environment=dict(environment or {}),
        )
        acknowledge(self.function, NIST, "LambdaDLQ", when_it_fails)
        acknowledge(
            self.function,
            NIST,
            "LambdaConcurrency",
            "What is reserved here is taken from every other function of the account, and AWS refuses to leave fewer "
            "than 100 unreserved, which new accounts do not have.",
        )
        acknowledge(
            self.function,
            NIST,
            "LambdaInsideVPC",
            "It opens no port, runs no code but its own and calls AWS's APIs alone, each as far as its role goes. From "
            "a VPC the same calls would go out through an endpoint for every service.",
        )
        acknowledge(
            self.log_group,
            NIST,
            "CloudWatchLogGroupEncrypted",
            "CloudWatch Logs encrypts it with its own key. It contains names, counts and reasons, no data.",
        )
