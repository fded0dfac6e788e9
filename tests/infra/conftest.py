"""The synthesized stacks: each environment once for the whole session, because a synthesis takes seconds."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from suite import PROJECT

# jsii starts the Node.js that is first on PATH: the virtual environment's own, whether it is activated or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

from aws_cdk import App, Validations
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks
from promoting_project import promoting_project
from wheels import lock, named

from environments.catalog import CatalogSettings
from environments.delivery import DeliverySettings
from environments.lines import LineSettings
from environments.settings import Settings, load_settings
from infra.catalog.catalog_stack import CatalogStack
from infra.catalog.project_settings import load_template_settings
from infra.catalog.project_stack import ProjectStack
from infra.catalog.project_template import write_project_template
from infra.stacks.choose import environment_stack
from infra.stacks.delivery_stack import DeliveryStack

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Synthesized:
    """`resources` by their path in the stack, for example `Data/Bucket`; `findings` is cdk-nag's report."""

    template: Template
    content: dict[str, Any]
    resources: dict[str, dict[str, Any]]
    findings: str
    settings: Settings

    def properties(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[path]["Properties"]
        return found

    def logical_id(self, path: str) -> str:
        return next(key for key, item in self.content["Resources"].items() if item is self.resources[path])

    def statements(self, path: str) -> list[dict[str, Any]]:
        """What the role at that path may do."""
        statements: list[dict[str, Any]] = self.properties(f"{path}/DefaultPolicy")["PolicyDocument"]["Statement"]
        return statements


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-settings", action="store_true", help="write docs/settings.md")
    parser.addoption("--write-schemas", action="store_true", help="write environments/*.schema.json")
    parser.addoption("--write-statements", action="store_true", help="write tests/infra/statements")


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesized]:
    @cache
    def synthesize(
        environment: str,
        network: str = "",
        data_key: str | None = None,
        named: str | None = None,
        lines: tuple[tuple[str, LineSettings], ...] = (),
        **pipeline: Any,
    ) -> Synthesized:
        settings = load_settings(PROJECT / "environments.toml", environment)
        settings = replace(settings, data_key=data_key, pipeline=replace(settings.pipeline, **pipeline))
        settings = replace(settings, environment=named or environment, lines=dict(lines))
        root = PROJECT
        if network:
            settings, root = replace(settings, network_access=network), with_wheels(tmp_path_factory.mktemp("root"))
        return _environment(settings, tmp_path_factory.mktemp(environment), root)

    return synthesize


@pytest.fixture(scope="session")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="session")
def project(project_folder: Path) -> Synthesized:
    """The project template before it is made the file that is published."""
    app = _app(project_folder)
    settings = load_template_settings(PROJECT / "environments.toml")
    ProjectStack(app, "headrace-project", settings=settings, root=PROJECT)
    return _synthesized(app, project_folder, "headrace-project", settings)


@pytest.fixture(scope="session")
def published(project: Synthesized, project_folder: Path) -> Path:
    """The folder that `headrace publish` takes."""
    return write_project_template(project_folder, "headrace-project")


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The catalog of an account in which one role starts projects, with two versions in Service Catalog."""
    folder = tmp_path_factory.mktemp("catalog")
    starter = "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole"
    versions = {"1.0.0": "a" * 64, "1.1.0": "b" * 64}
    app, dev = _app(folder), Settings(environment="dev", account="123456789012", region="eu-central-1")
    settings = CatalogSettings(environment=dev, launched_by=(starter,), versions=versions)
    CatalogStack(app, "headrace-catalog", settings=settings)
    return _synthesized(app, folder, "headrace-catalog", dev)


@pytest.fixture(scope="session")
def promoting(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesized]:
    """The stacks of a project that takes the example of promotion in environments.toml: dev and live."""
    folder = tmp_path_factory.mktemp("promoting")
    file = promoting_project(folder)

    @cache
    def synthesize(environment: str) -> Synthesized:
        return _environment(load_settings(file, environment), tmp_path_factory.mktemp(environment))

    return synthesize


@pytest.fixture
def source(promoting: Callable[[str], Synthesized]) -> Synthesized:
    """An environment from which another one promotes."""
    return promoting("dev")


@pytest.fixture
def serving(promoting: Callable[[str], Synthesized]) -> Synthesized:
    """An environment that promotes from another one."""
    return promoting("live")


def _environment(settings: Settings, folder: Path, root: Path = PROJECT) -> Synthesized:
    app = _app(folder)
    environment_stack(app, settings=settings, root=root)
    return _synthesized(app, folder, settings.name, settings)


def with_wheels(root: Path) -> Path:
    """The sources with wheels of what requirements.txt names, empty ones, in the place of a download's."""
    for name in ("lambda", "data_sets", "run_costs", "source_code"):
        (root / name).symlink_to(PROJECT / name)
    shutil.copytree(PROJECT / "training", root / "training", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "training/wheels").mkdir()
    requirements = named(root / "training")
    for name, version in requirements:
        (root / f"training/wheels/{name}-{version}-cp312-cp312-manylinux_2_28_x86_64.whl").touch()
    lock(root / "training", requirements)
    return root


@pytest.fixture
def local(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """An environment that is destroyed with its data."""
    return synthesized("local")


@pytest.fixture
def dev(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """An environment without a monthly budget."""
    return synthesized("dev")


@pytest.fixture
def isolated(synthesized: Callable[..., Synthesized]) -> Synthesized:
    """An environment whose jobs and endpoint are in a VPC."""
    return synthesized("prod", network="vpc", tuning_jobs=2)


@pytest.fixture
def prod(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """An environment that keeps its data."""
    return synthesized("prod")


@pytest.fixture(scope="session")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Synthesized]:
    @cache
    def synthesize(**choices: Any) -> Synthesized:
        folder = tmp_path_factory.mktemp("delivery")
        app, dev = _app(folder), Settings(environment="dev", account="123456789012", region="eu-central-1")
        ids = {"owner_id": 123456, "repository_id": 456789}
        settings = DeliverySettings(environment=dev, repository="team/headrace", **ids, **choices)
        DeliveryStack(app, settings.stack_name, settings=settings)
        return _synthesized(app, folder, settings.stack_name, dev)

    return synthesize


def _app(folder: Path) -> App:
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:enable-path-metadata": True}
    return App(analytics_reporting=False, context=context, outdir=str(folder))


def _synthesized(app: App, folder: Path, stack: str, settings: Settings) -> Synthesized:
    findings = _synthesize_with_nag(app, folder)
    content = json.loads((folder / f"{stack}.template.json").read_text())
    return Synthesized(Template.from_json(content), content, _by_path(content), findings, settings)


def _by_path(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    resources = {}
    for resource in content["Resources"].values():
        path = resource["Metadata"]["aws:cdk:path"].split("/", 1)[1]
        resources[path.removesuffix("/Resource").removesuffix("/Default")] = resource
    return resources


def _synthesize_with_nag(app: App, folder: Path) -> str:
    """cdk-nag's report, empty if it has nothing to say; findings end the synthesis with an error, after the files."""
    packs = (AwsSolutionsChecks(app, verbose=True), NIST80053R5Checks(app, verbose=True))
    Validations.of(app).add_plugins(*packs)
    try:
        app.synth()
    except RuntimeError as error:
        return f"{error}\n{(folder / 'validation-report.json').read_text()}"
    return ""
