"""The import rules of pyproject.toml: each one is broken by an import that it is there to forbid."""

import copy
from pathlib import Path

import grimp
import pytest
from import_roots import circle, imported, texts
from importlinter.api import read_configuration
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract
from suite import ROOT, TRAINING

IMPORT_ROOTS = [ROOT / "lambda", TRAINING]
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
RULES = {options["name"]: options for options in CONFIGURATION["contracts_options"]}
TYPES: dict[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}
# An import that breaks each rule: who imports, and what.
PLANTED = {
    "the local cloud and the definition stand alone": ("pipeline_definition.build", "run_costs"),
    "the local cloud knows nothing of the rest": ("local_cloud.errors", "headrace.errors"),
    "the definition knows nothing of the rest": ("pipeline_definition.build", "infra.parts.arns"),
    "the infrastructure may use the definition, its costs, the archives of code and the reader of data sets only": (
        "infra.parts.arns", "headrace.project.folder",
    ),
    "the archives of code import nothing of the project": ("source_code", "pipeline_definition"),
    "the reader of data sets imports nothing of the project": ("data_sets", "headrace.errors"),
    "the language of definitions imports nothing of the project": ("pipeline_language.graph", "local_cloud.errors"),
    "the command line uses the local cloud, environments, and the readers of data sets and code": (
        "headrace.cli.main", "infra.parts.arns",
    ),
    "the costs of a run import nothing of the project": ("run_costs", "infra.parts.arns"),
    "environments know the definition's settings only": ("environments.settings", "headrace.errors"),
    "the rooms of the infrastructure, from the top floor down": ("infra.parts.arns", "infra.stacks.choose"),
    "constructs take values: only stacks and the catalog know the settings": (
        "infra.parts.notices", "environments.settings",
    ),
    "the rooms of the command line, from the top floor down; client and project print nothing": (
        "headrace.client.executions", "headrace.terminal.output",
    ),
    "no circle of imports, between files or between folders": (
        "local_cloud.sagemaker.core.store", "local_cloud.sagemaker.core.context",
    ),
    "the local cloud, from the top down": ("local_cloud.sagemaker.api", "local_cloud.ministack.cloud"),
    "the rooms of SageMaker, from the top down": (
        "local_cloud.sagemaker.pipelines.steps.job", "local_cloud.sagemaker.jobs.runner",
    ),
    "jobs use containers alone": (
        "local_cloud.sagemaker.jobs.job", "local_cloud.sagemaker.registry.model_packages",
    ),
    "hosting, from the top down": (
        "local_cloud.sagemaker.hosting.model_server", "local_cloud.sagemaker.hosting.deployments",
    ),
    "jobs, from the top down: a type of job imports no other type": (
        "local_cloud.sagemaker.jobs.processing.run", "local_cloud.sagemaker.jobs.training.run",
    ),
    "the language of definitions, from the top down": ("pipeline_language.definition", "pipeline_language.graph"),
    "the patches of one service of AWS import those of no other but IAM": (
        "local_cloud.ministack.s3.buckets", "local_cloud.ministack.cloudformation.stacks",
    ),
    "pipelines, from the top down": (
        "local_cloud.sagemaker.pipelines.steps.job", "local_cloud.sagemaker.pipelines.engine.run",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    first, *others = CONFIGURATION["session_options"]["root_packages"]
    return grimp.build_graph(first, *others, cache_dir=None)


def is_kept(rule: str, imports: grimp.ImportGraph) -> bool:
    """On a copy: a check removes the imports that its rule ignores."""
    options = {name: value for name, value in RULES[rule].items() if name not in ("id", "name", "type")}
    contract = TYPES[RULES[rule]["type"]](
        name=rule, session_options=CONFIGURATION["session_options"], contract_options=options
    )
    return contract.check(copy.deepcopy(imports), verbose=False).kept


def test_each_rule_has_an_import_that_breaks_it() -> None:
    assert PLANTED.keys() == RULES.keys()


@pytest.mark.parametrize("rule", PLANTED)
def test_a_rule_holds_and_is_broken_by_an_import_that_it_forbids(rule: str, imports: grimp.ImportGraph) -> None:
    importer, imported = PLANTED[rule]
    assert {importer, imported} <= imports.modules
    planted = copy.deepcopy(imports)
    planted.add_import(importer=importer, imported=imported)
    assert is_kept(rule, imports)
    assert not is_kept(rule, planted)


@pytest.mark.parametrize("rule", [name for name, options in RULES.items() if options.get("exhaustive") == "True"])
def test_a_room_that_has_no_place_among_the_layers_is_refused(rule: str, imports: grimp.ImportGraph) -> None:
    planted = copy.deepcopy(imports)
    (container,) = RULES[rule]["containers"]
    planted.add_module(f"{container}.attic")
    assert not is_kept(rule, planted)


@pytest.mark.parametrize("root", IMPORT_ROOTS, ids=lambda root: root.name)
def test_an_import_root_has_no_circle_of_imports(root: Path) -> None:
    """lambda/ and training/, file by file. Which folders a function may import: tests/lambda/test_lambda_folder.py."""
    files = texts(root)
    assert circle(files) == []
    importer, needed = next((module, found) for module in files for found in imported(files[module]) & files.keys())
    assert circle(files | {needed: f"{files[needed]}\nimport {importer}\n"})
    assert circle(files | {needed: f"{files[needed]}\ndef late():\n    from {importer} import x\n"})
