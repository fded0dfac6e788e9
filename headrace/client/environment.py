"""One environment: how its clients are made, and what its stack is called and holds."""

from __future__ import annotations

import copy
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from headrace.client.prices import Prices, read_prices
from headrace.errors import SetupError, UsageError, from_aws, is_missing
from headrace.project.folder import LOCAL, PROJECT, read_target, state_folder
from headrace.project.local_cloud import LocalCloud, Running

if TYPE_CHECKING:  # boto3 takes longer to import than all the rest: only what asks AWS imports it
    import boto3
    from botocore.config import Config

QUEUES = ("Upload", "Decision", "Notice")  # as the stack's outputs name them
SERVING_QUEUES = QUEUES[1:]
DEFAULT_LINE = "default"  # the environment's own model line, beside those that it declares
# Commands that concern a model line, or all of them.
LINE_COMMANDS = frozenset(
    {"approve", "compare", "evaluation", "logs", "models", "predict", "reject", "repair", "rollback", "run", "runs"}
    | {"status", "stop", "upload", "watch"}
)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that feeds a function, and where its messages go that cannot be processed."""

    name: str
    url: str
    dead_letters_url: str


@dataclass(frozen=True, slots=True)
class Training:
    """What a stack has that does not only serve."""

    data_bucket: str
    pipeline: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The deployed stack, by its outputs.

    One that promotes has no training: it serves the registry of another environment, in whose account its
    `model_package_group` is, which is then an ARN.
    """

    name: str
    status: str
    promotes_from: str | None
    training: Training | None
    model_package_group: str
    endpoint: str
    queues: tuple[Queue, ...]  # uploads first
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)  # patterns of data sets by declared line

    @property
    def data_bucket(self) -> str:
        return self._trained.data_bucket

    @property
    def pipeline(self) -> str:
        return self._trained.pipeline

    @property
    def upload_queue_url(self) -> str:
        assert self._trained
        return self.queues[0].url

    @property
    def _trained(self) -> Training:
        assert self.training, f"{self.name} only serves: Environment.require_training was not asked"
        return self.training


class Environment:
    """Clients of one environment and its stack's outputs; safe to share between threads."""

    def __init__(
        self, name: str, session: boto3.Session, config: Config, *, account: str | None, running: Running | None = None
    ) -> None:
        self.name = name
        self.account = account  # as environments.toml names it
        self.running = running
        self.project: str | None = None
        self.line: str | None = None  # the model line that was chosen
        self.stack_name = f"{PROJECT}-{name}"
        self._session = session
        self._config = config
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._stack: Stack | None = None
        self._prices: Prices | None = None
        self._lock = threading.Lock()  # a boto3 session is not safe between threads, its clients are

    @property
    def region(self) -> str:
        return str(self._session.region_name)

    @property
    def prices(self) -> Prices:
        """What instances cost in this region, read once."""
        if self._prices is None:
            self._prices = read_prices(self.region)
        return self._prices

    def client(self, service: str, *, region: str | None = None) -> Any:
        """In the environment's region, or another one."""
        with self._lock:
            if (service, region) not in self._clients:
                local = self.running
                address: dict[str, Any] = (
                    {"endpoint_url": local.endpoint, "verify": str(local.certificate)} if local else {}
                )
                self._clients[service, region] = self._session.client(
                    service, region_name=region, config=self._config, **address
                )
            return self._clients[service, region]

    def command(self, arguments: str) -> str:
        """A headrace command to type for this same environment, and project."""
        whose = f"--project {self.project} " if self.project and not arguments.startswith("projects ") else ""
        of_line = self.line is not None and arguments.split(" ", 1)[0] in LINE_COMMANDS
        return self._command(self.name, f"{whose}{f'--line {self.line} ' if of_line else ''}{arguments}")

    def registry_command(self, arguments: str) -> str:
        """One for where models are trained and approved: here, or in the environment that this one promotes from."""
        source = self.stack.promotes_from
        return self._command(source, arguments) if source else self.command(arguments)

    def _command(self, name: str, arguments: str) -> str:
        chosen = "" if name == os.environ.get("HEADRACE_ENV", LOCAL) else f"--env {name} "
        here = "--local " if self.running is not None and name != LOCAL else ""
        return f"headrace {here}{chosen}{arguments}"

    def require_training(self, arguments: str) -> None:
        """Raises UsageError where that command is to be said to the environment that this one promotes from."""
        source = self.stack.promotes_from
        if source is not None:
            raise UsageError(
                f"environment {self.name} serves what {source} approves: it has no data, no runs and no registry of "
                "its own",
                hint=self.registry_command(arguments),
            )

    @property
    def deploy_command(self) -> str:
        if self.project:
            return self.command(f"projects update {self.project}")
        return self._deploy_command(self.name)

    @property
    def registry_deploy_command(self) -> str:
        """For the environment in which models are approved, which grants those that promote from it their share."""
        return self._deploy_command(self.stack.promotes_from or self.name)

    def _deploy_command(self, name: str) -> str:
        return f"npx cdk deploy -c env={name}" if self.running is None else self._command(name, "deploy")

    def use_project(self, name: str, stack_name: str) -> None:
        """From here on the stack is a project's, which has the same outputs as the environment's own."""
        self.project, self.stack_name, self._stack = name, stack_name, None

    @property
    def line_names(self) -> list[str]:
        """The default line and those that are declared."""
        return [DEFAULT_LINE, *sorted(self.stack.lines)]

    @property
    def every_line(self) -> list[Environment]:
        """The environment in each of its lines; in the chosen one only, if one was chosen or no other is declared."""
        return [self] if self.line or not self.stack.lines else [self.in_line(name) for name in self.line_names]

    def in_line(self, name: str) -> Environment:
        """The same environment and clients, with the pipeline, model package group and endpoint of that line.

        Raises:
            UsageError: the deployed stack has no such line.
        """
        stack = self.stack
        if name == self.line:
            return self
        assert self.line is None, "a line is chosen in an environment without one"
        if name not in self.line_names:
            raise UsageError(
                f"environment {self.name} has no model line {name!r}; it has {', '.join(self.line_names)}",
                hint=f"declare [{self.name}.lines.{name}] in environments.toml, then: {self.deploy_command}",
            )
        other = copy.copy(self)
        other.line = name
        if name != DEFAULT_LINE:
            assert stack.training, "only an environment that trains declares lines"
            other._stack = replace(
                stack,
                training=replace(stack.training, pipeline=f"{stack.pipeline}-{name}"),
                model_package_group=f"{stack.model_package_group}-{name}",
                endpoint=f"{stack.endpoint}-{name}",
            )
        return other

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Turns boto3's errors into ours, with what was being done."""
        try:
            yield
        except _errors_of_boto3() as failure:
            # A transfer wraps the error that it failed with in another one.
            own = isinstance(failure, BotoCoreError | ClientError)
            cause = failure if own else failure.__context__
            error = cause if isinstance(cause, Exception) else failure
            status = self.command("status")
            raise from_aws(error, doing=what, environment=self.name, status_command=status) from error

    @property
    def stack(self) -> Stack:
        """The stack's outputs, read once.

        Raises:
            SetupError: the stack is not there, not complete, or older than this command line.
        """
        if self._stack is None:
            self._stack = self._read_stack()
        return self._stack

    def find_stack(self, name: str) -> dict[str, Any] | None:
        """As it is now, in whatever state; None if there is none of that name."""
        with self.doing(f"reading the stack {name}"):
            try:
                found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
        return found

    def _read_stack(self) -> Stack:
        deploy = self.deploy_command
        found = self.find_stack(self.stack_name)
        if found is None:
            raise SetupError(
                f"environment {self.name} is not deployed: there is no stack {self.stack_name} in {self.region}",
                hint=deploy,
            )
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

        def value(key: str) -> str:
            if key in outputs:
                return str(outputs[key])
            if not outputs:
                raise SetupError(f"the stack {self.stack_name} is {found['StackStatus']}, not deployed", hint=deploy)
            raise SetupError(
                f"the stack {self.stack_name} has no output {key}: it was deployed from another version", hint=deploy
            )

        promotes_from = outputs.get("PromotesFrom")
        return Stack(
            name=self.stack_name,
            status=found["StackStatus"],
            promotes_from=promotes_from,
            training=None if promotes_from else Training(value("DataBucketName"), value("PipelineName")),
            model_package_group=value("ModelPackageGroupName"),
            endpoint=value("EndpointName"),
            queues=tuple(
                Queue(f"{kind.lower()}s", value(f"{kind}QueueUrl"), value(f"{kind}DeadLetterQueueUrl"))
                for kind in (SERVING_QUEUES if promotes_from else QUEUES)
            ),
            lines={name: tuple(names) for name, names in json.loads(outputs.get("ModelLines", "{}")).items()},
        )


def open_environment(name: str, cloud: LocalCloud, *, rehearsed: bool = False) -> Environment:
    """The environment of that name: on AWS as the user's own configuration reaches it, or in the local cloud.

    There `local` is, and any other that is to be `rehearsed`, in the account and the region that it has on AWS.
    """
    if name != LOCAL and not rehearsed:
        environment = environment_on_aws(name)
        _require_its_account(environment)
        return environment
    from headrace.project.session import isolated_config, isolated_session

    target = read_target(name)
    state = state_folder()
    running = cloud.running(state)
    if running is None:
        raise SetupError(f"the local cloud is not running (its state folder is {state})", hint="headrace up")
    account, region = target.account or running.account, target.region or running.region
    session = isolated_session(account, cloud.secret_key(state, account), region)
    return Environment(name, session, isolated_config(), account=account, running=running)


def environment_on_aws(name: str) -> Environment:
    """Nothing is asked of AWS yet. Raises AwsError for a profile that is not there."""
    import boto3

    from headrace.project.session import users_config

    target = read_target(name)
    try:
        session = boto3.Session(profile_name=target.profile, region_name=target.region)
    except BotoCoreError as error:
        raise from_aws(
            error, doing="opening a session", environment=name, status_command="aws configure list"
        ) from error
    return Environment(name, session, users_config(), account=target.account)


def _errors_of_boto3() -> tuple[type[Exception], ...]:
    from boto3.exceptions import S3UploadFailedError

    return BotoCoreError, ClientError, S3UploadFailedError


def _require_its_account(environment: Environment) -> None:
    """Refuses credentials of another account than the one environments.toml names: prod is not deployed by accident."""
    if environment.account is None:
        return
    with environment.doing("asking whose credentials these are"):
        account = environment.client("sts").get_caller_identity()["Account"]
    if account != environment.account:
        raise SetupError(
            f"environment {environment.name} is account {environment.account}, but the credentials in use are of "
            f"{account}",
            hint="aws sts get-caller-identity shows who you are; export AWS_PROFILE=NAME chooses another",
        )
