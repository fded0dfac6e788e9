"""The settings of one environment, read from environments.toml and checked before anything is made of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from environments.endpoints import InstanceCount, endpoint_problems
from environments.image_names import IMAGE
from environments.lines import LineSettings, line_problems, load_lines, load_pipeline, require_distinct_names
from environments.local_images import load_images
from environments.names import ACCOUNT, NAME, REGION
from environments.network import Zones, network_problems
from environments.prices import PRICES_FILE, load_prices, price_problems
from environments.promotion import Consumer, consumers_of, source_of
from environments.typed_table import SettingsError, load_tables, typed_values
from pipeline_definition import CAPACITIES as CAPACITIES  # for the command line, which knows environments alone
from pipeline_definition import PipelineSettings, limits
from pipeline_definition.limits import Pattern, Problem, Range

PROJECT = "headrace"
LOCAL = "local"
PROJECTS = "projects"  # the table that is not an environment: environments/projects.py
MOST_RUNS = 1_000  # of a limit on runs; lambda/start_pipeline/runs/run_limits.py has the same value
MONEY = "use a number of USD above 0, for example "

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")
_TAG = re.compile(rf"(?!aws:|{PROJECT}:)[\s\S]*")

Runs = Annotated[int, Range(1, MOST_RUNS, hint=f"use a whole number from 1 to {MOST_RUNS:,}")]
Image = Annotated[
    str,
    Pattern(
        IMAGE,
        hint="use repository:tag of an AWS deep-learning image, or "
        "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>; after it, @sha256:<64 hexadecimal digits> pins a "
        "digest",
    ),
]

_TABLES = frozenset({"catalog", "delivery", "images", "lines", "pipeline"})  # of an environment
_FOUND_OUT = {
    "network": 'write network_access = "public" or "vpc"; the network that is trained is set as network in the '
    "table .pipeline below it",
    "prices": f"prices are those of {PRICES_FILE}: leave it out",
    "source": "it is known by promotes_from: leave it out",
    "consumers": "they are known by their promotes_from: leave it out",
}

NetworkAccess: TypeAlias = Literal["public", "vpc"]
NETWORK_ACCESS: tuple[str, ...] = get_args(NetworkAccess)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One environment. The text below a setting says what it means; docs/settings.md is written from it.

    `lines` are the model lines besides the default one, which is the environment itself, by their names. `source` is
    the environment of `promotes_from`, and `consumers` are those that promote from this one. `prices` are the
    region's in USD an hour.
    """

    environment: str
    account: Annotated[
        str, Pattern(ACCOUNT, hint='an AWS account number is 12 digits in quotes, for example "123456789012"')
    ]
    """AWS account number, 12 digits in quotes."""
    region: Annotated[str, Pattern(REGION, hint='use a region\'s code, for example "eu-central-1"')]
    """AWS region, such as eu-central-1."""
    profile: str | None = None
    """AWS profile that the `headrace` command uses. The stack does not need it."""
    removal: Literal["destroy", "retain"] = "retain"
    """Whether destroying the stack removes data, key and models, or keeps them."""
    quiet_seconds: Annotated[int, Range(1, 900, hint="use 1 to 900: SQS delays no message for longer")] = 60
    """For how many seconds nothing may be uploaded before a data set counts as complete."""
    log_retention_days: Literal[1, 7, 30, 90, 365] = 30
    """For how many days the functions' logs are kept."""
    notice_emails: tuple[
        Annotated[str, Pattern(_EMAIL, hint="each entry is an e-mail address, for example team@example.com")], ...
    ] = ()
    """E-mail addresses that get the notices. Each has to confirm its subscription once."""
    tags: Mapping[
        Annotated[str, Pattern(_TAG, hint=f"tags that begin with aws: or {PROJECT}: are not yours to set")], str
    ] = field(default_factory=dict)
    """Tags of every resource, beside those that begin with headrace:."""
    endpoint_instance_type: str = "ml.m5.large"
    """Instance type of the endpoint; one of `inference_instance_types` of the pipeline."""
    endpoint_instance_count: InstanceCount = 1
    """Number of instances behind the endpoint."""
    training_image: Image = "pytorch:2.13-cu133-amzn2023-sagemaker"
    """Image of training jobs: repository:tag of an AWS deep-learning image, or the URI of a custom image.
    `headrace images --pin` adds its digest."""
    processing_image: Image = "pytorch:2.13-cpu-amzn2023-sagemaker"
    """Image of processing jobs, written like `training_image`."""
    inference_image: Image = "pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
    """Image of the endpoint, written like `training_image`."""
    network_access: NetworkAccess = "public"
    """vpc runs jobs and endpoint in private subnets without a way out but to the data bucket."""
    availability_zones: Zones = ()
    """Zones of the VPC, two at least; without it the first two of the region."""
    data_key: Annotated[
        str | None, Pattern(_KEY, hint="use the ARN of a KMS key: arn:aws:kms:<region>:<account>:key/<id>")
    ] = None
    """ARN of your KMS key for the data; without it the stack creates one."""
    max_run_cost: Annotated[float | None, Range(above=0, hint=f"{MONEY}10.0")] = None
    """The most in USD that a run may cost by prices.toml. A run that may cost more is not started."""
    max_runs_per_day: Runs = 50
    """The most runs in 24 hours, over all lines and data sets. Further uploads go to the dead-letter queue."""
    max_concurrent_runs: Runs = 5
    """The most runs at the same time, over all lines and data sets. Further uploads wait."""
    monthly_budget: Annotated[float | None, Range(above=0, hint=f"{MONEY}200.0")] = None
    """Monthly costs in USD. Notices are sent when 80 % are forecast, and when they are reached."""
    prices: Mapping[str, float] = field(default_factory=dict)
    pipeline: PipelineSettings = field(default_factory=PipelineSettings)
    lines: Mapping[str, LineSettings] = field(default_factory=dict)
    promotes_from: str | None = None
    """The environment whose approved models this one serves. It then trains nothing itself."""
    source: Settings | None = None
    consumers: tuple[Consumer, ...] = ()

    @property
    def name(self) -> str:
        """What the environment's stack, pipeline, model package group and endpoint are called."""
        return f"{PROJECT}-{self.environment}"

    def line_name(self, line: str) -> str:
        """What the pipeline, model package group and endpoint of a declared line are called."""
        return f"{self.name}-{line}"

    @property
    def names(self) -> list[str]:
        """What the pipelines, model package groups and endpoints of all lines are called, the default line's first."""
        return [self.name, *map(self.line_name, self.lines)]

    def endpoint_instances(self, line: str) -> tuple[str, int]:
        """Type and number of the instances behind the endpoint of a declared line."""
        own = self.lines[line]
        return (
            own.endpoint_instance_type or self.endpoint_instance_type,
            self.endpoint_instance_count if own.endpoint_instance_count is None else own.endpoint_instance_count,
        )

    @property
    def table(self) -> str:
        """Where they stand, for the person who has to change them."""
        return f"environments.toml [{self.environment}]"

    @property
    def label(self) -> str:
        """How people call it, in notices."""
        return self.environment

    @property
    def command(self) -> str:
        """The `headrace` command for this environment."""
        return f"{PROJECT} --env {self.environment}"

    @property
    def pipelines(self) -> Mapping[str, PipelineSettings]:
        """The pipelines that there are definitions of, by their capacity; `capacity` says which is taken."""
        return {self.pipeline.capacity: self.pipeline}

    @property
    def pipeline_tables(self) -> dict[str, PipelineSettings]:
        """The pipelines of all lines by their tables, the default line's first."""
        of_lines = {f"{self.environment}.lines.{name}.pipeline": line.pipeline for name, line in self.lines.items()}
        return {f"{self.environment}.pipeline": self.pipeline, **of_lines}

    @property
    def capacity(self) -> str:
        return self.pipeline.capacity

    @property
    def parameter_defaults(self) -> Mapping[str, str]:
        """Defaults of the pipeline's parameters that take the place of the definition's own."""
        return {}

    @property
    def destroys(self) -> bool:
        """Whether the data goes with the stack."""
        return self.removal == "destroy"

    @property
    def environment_tag(self) -> tuple[str, str]:
        return f"{PROJECT}:environment", self.environment

    @property
    def all_tags(self) -> dict[str, str]:
        """On every resource, those made by the stack and those made by its functions."""
        return {f"{PROJECT}:project": PROJECT, **dict([self.environment_tag]), **self.tags}

    def __post_init__(self) -> None:
        for what, hint in (*self._place_problems(), *self._problems()):
            raise SettingsError(what, self.table, hint)

    def _place_problems(self) -> Iterator[Problem]:
        if not NAME.fullmatch(self.environment):
            yield (
                f"{self.environment!r} is not a valid name for an environment",
                "use at most 20 small letters, digits and hyphens: it becomes part of resource names",
            )
        if "-p-" in f"-{self.environment}-":
            yield (
                f"{self.environment!r} makes -p- in {PROJECT}-{self.environment}-v1",
                "choose another: that marks the resources of projects that were started from the template",
            )
        if "-v" in self.environment:
            yield (
                f"{self.environment!r} holds -v",
                f"choose another: models are called {PROJECT}-<environment>-v<number>, and those of two environments "
                "could not be told apart",
            )

    def _problems(self) -> Iterator[Problem]:
        yield from limits.problems(self)
        yield from endpoint_problems(self.environment, "", self.endpoint_instance_type, self.pipeline)
        yield from line_problems(self.environment, self.lines)
        for name, line in self.lines.items():
            yield from endpoint_problems(self.environment, name, self.endpoint_instances(name)[0], line.pipeline)
            status = line.pipeline.model_approval_status
            if status != self.pipeline.model_approval_status:
                yield (
                    f"model_approval_status of the line {name} is {status!r}",
                    f"set it under [{self.environment}.pipeline]: who decides on models is the same for all lines",
                )
        if self.max_run_cost is not None:
            yield from price_problems(self.region, self.prices, self.pipeline_tables.values())
        yield from self._promotion_problems()
        yield from network_problems(self.region, self.network_access, self.availability_zones)
        named = _KEY.fullmatch(self.data_key or "")
        if named and named["region"] != self.region:
            yield (
                f"data_key is {self.data_key!r}",
                f"use the ARN of a KMS key in {self.region}, arn:aws:kms:{self.region}:<account>:key/<id>, or leave it "
                "out: the stack then makes a key",
            )

    def _promotion_problems(self) -> Iterator[Problem]:
        if self.consumers and self.data_key is not None:
            yield (
                "data_key is set, and another environment promotes from this one",
                "leave data_key out: the stack then makes a key, and lets the other account's endpoint have it",
            )
        if self.consumers and self.lines:
            names = ", ".join(consumer.name for consumer in self.consumers)
            yield (
                f"it declares lines, and {names} promotes from it",
                "declare the lines in an environment that no other promotes from: only a single line is promoted",
            )
        if self.source is None:
            return
        source = self.source.environment
        if self.account == self.source.account:
            yield (
                f"its account is that of [{source}], which it promotes from",
                "give it a different account: the source grants its models by account",
            )
        if self.region != self.source.region:
            yield (
                f"region is {self.region!r}, and [{source}], which it promotes from, is in {self.source.region!r}",
                f'set region = "{self.source.region}": SageMaker serves only models of the same region',
            )


def load_settings(path: Path, environment: str) -> Settings:
    """Raises SettingsError for a file, an environment, a key or a value that is not as it should be."""
    environments = {name: table for name, table in load_tables(path).items() if name != PROJECTS}
    if environment not in environments:
        raise SettingsError(
            f"there is no environment {environment!r}; there are {', '.join(environments) or 'none'}",
            path.name,
            f"use -c env=<one of these>, or add a table [{environment}] with account and region",
        )
    refuse_strays({name: table for name, table in environments.items() if name != environment}, path)
    require_distinct_names(environments, path.name, PROJECT)
    values = settings_values(environments[environment], Settings, path, environment, apart=frozenset({"environment"}))
    if "max_run_cost" in values:
        values["prices"] = load_prices(path.with_name(PRICES_FILE), values["region"])
    if source_name := source_of(environments, environment, path.name):
        source = load_settings(path, source_name)
        # What it serves runs in the source's image, on instances that the source registers its models for.
        values |= {"source": source, "pipeline": source.pipeline, "inference_image": source.inference_image}
    else:
        values["consumers"] = consumers_of(environments, environment, path.name, project=PROJECT)
    return Settings(environment=environment, **values)


def refuse_strays(tables: Mapping[str, Any], path: Path) -> None:
    """Raises SettingsError for a table that nothing would ever read: for example [project] or [Dev]."""
    for name, table in tables.items():
        if name == PROJECTS or (isinstance(table, dict) and "account" in table and NAME.fullmatch(name)):
            continue
        raise SettingsError(
            "it is not an environment: one has account, region and a name of at most 20 small letters, digits, hyphens",
            f"{path.name} [{name}]",
            f"complete it, or take it out; what projects from the template get is called [{PROJECTS}]",
        )


def settings_values(
    table: Any, kind: type[Settings], path: Path, name: str, *, apart: frozenset[str]
) -> dict[str, Any]:
    """The values of the table [name] and of [name.pipeline] in it; those `apart` are known elsewhere."""
    where = f"{path.name} [{name}]"
    derived = _FOUND_OUT | {key: f"it is not for [{name}] to say: leave {key} out" for key in apart}
    values = typed_values(table, kind, where, derived=derived, tables=_TABLES - apart)
    load_images(table.get("images"), name, where)
    pipeline = load_pipeline(table, f"{path.name} [{name}.pipeline]", PipelineSettings())
    return {**values, "pipeline": pipeline, "lines": load_lines(table, pipeline, where.removesuffix("]"))}
