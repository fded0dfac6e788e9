"""Settings that all projects from the published template have in common: the table [projects].

The other values are unknown when the template is made: a project's name and ID, its account and region, and what its
creator chooses. They are references to the template's parameters, which CloudFormation resolves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from environments.settings import PROJECT, PROJECTS, Settings, refuse_strays, settings_values
from environments.typed_table import load_tables
from pipeline_definition import CAPACITIES, PipelineSettings, PipelineSettingsError
from pipeline_definition.limits import Items, Problem
from pipeline_definition.settings import InstanceType

PROJECT_NAME, PROJECT_ID = "SageMakerProjectName", "SageMakerProjectId"  # SageMaker gives these two
CHOICES = ("AccuracyThreshold", "TrainInstanceType")  # parameters of the template and of the pipeline
PARAMETERS = (PROJECT_NAME, PROJECT_ID, "Capacity", *CHOICES)
# A template for all regions cannot contain the prices of one; a profile only concerns a command line; each project has
# its own registry. A network, a key and a bill belong to one account and region, and the boundary allows no network
# interfaces. A second model line is a second project.
NOT_OFFERED = frozenset({"catalog", "delivery", "max_run_cost", "profile", "promotes_from"}) | {
    "availability_zones",
    "data_key",
    "lines",
    "monthly_budget",
    "network_access",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings(Settings):
    """`train_instance_types` are the types that a project's creator may choose from; the first is the default.

    `references` are the CDK's references to the template's parameters, by their names; without one, the parameter is
    written as in Fn::Sub.
    """

    account: str
    region: str
    train_instance_types: Annotated[
        tuple[InstanceType, ...], Items(1, hint="name at least one, for example ml.g4dn.xlarge")
    ] = ("ml.g4dn.xlarge", "ml.g5.xlarge", "ml.m5.xlarge")
    """Instance types that a project may be started with; the first is the default."""
    references: Mapping[str, str] = field(default_factory=dict)

    def _reference(self, parameter: str) -> str:
        return self.references.get(parameter, f"${{{parameter}}}")

    @property
    def name(self) -> str:
        """Of pipeline, group and endpoint. 32 characters and 14 leave enough of an endpoint configuration's 63."""
        return f"{self._reference(PROJECT_NAME)}-{self._reference(PROJECT_ID)}"

    @property
    def label(self) -> str:
        return self._reference(PROJECT_NAME)

    @property
    def command(self) -> str:
        return f"{PROJECT} --project {self._reference(PROJECT_NAME)}"

    @property
    def pipelines(self) -> Mapping[str, PipelineSettings]:
        return {capacity: replace(self.pipeline, capacity=capacity) for capacity in CAPACITIES}

    @property
    def capacity(self) -> str:
        return self._reference("Capacity")

    @property
    def parameter_defaults(self) -> Mapping[str, str]:
        return {name: self._reference(name) for name in CHOICES}

    @property
    def all_tags(self) -> dict[str, str]:
        """As SageMaker tags what belongs to a project."""
        return {
            "sagemaker:project-name": self._reference(PROJECT_NAME),
            "sagemaker:project-id": self._reference(PROJECT_ID),
            **self.tags,
        }

    def _place_problems(self) -> Iterator[Problem]:
        """A project's name is CloudFormation's to judge, as are account and region."""
        return iter(())

    def _problems(self) -> Iterator[Problem]:
        yield from Settings._problems(self)  # super() does not work in a class with slots
        if self.pipeline.variants:
            yield "variants is set in its pipeline", "leave it out: the creator of a project chooses its capacity"
            return
        for capacity in CAPACITIES:
            try:
                replace(self.pipeline, capacity=capacity)
            except PipelineSettingsError as error:
                yield f"with capacity {capacity}, which a project may choose: {error.what}", error.hint


def load_project_settings(
    path: Path,
    *,
    account: str = "${AWS::AccountId}",
    region: str = "${AWS::Region}",
    references: Mapping[str, str] | None = None,
) -> ProjectSettings:
    """Raises SettingsError for a file, a key or a value that is not as it should be."""
    tables = load_tables(path)
    refuse_strays(tables, path)
    table = tables.get(PROJECTS, {})
    apart = NOT_OFFERED | {"environment", "account", "region", "references"}
    values = settings_values(table, ProjectSettings, path, PROJECTS, apart=apart)
    return ProjectSettings(environment=PROJECTS, account=account, region=region, references=references or {}, **values)
