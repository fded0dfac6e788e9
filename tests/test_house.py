"""The house rules that no other tool checks."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from import_roots import imported
from suite import PROJECT

from headrace.commands.table import COMMANDS
from source_code.requirements import read

ROOT = Path(__file__).parents[1]
LONGEST = 400
WRITTEN_BY_TESTS = {"bad-input.md", "notices.md", "trigger-inputs.md"}  # to look something up in, as long as they get
IN_EVERY_IMAGE = {"torch", "numpy"}  # see local_cloud/sagemaker/containers/images


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


@pytest.mark.process
def test_no_file_is_longer_than_one_can_read() -> None:
    read = [path for path in tracked("*.py", "*.md", "Makefile", ".ci/run") if path.name not in WRITTEN_BY_TESTS]
    long = {str(path): len(path.read_text().splitlines()) for path in read}
    assert {path: lines for path, lines in long.items() if lines > LONGEST} == {}


def test_training_code_imports_only_what_its_image_and_requirements_have() -> None:
    lines = read((PROJECT / "training" / "requirements.txt").read_text())
    required = {line.text.partition("==")[0].strip().lower() for line in lines if not line.is_option}
    modules = {"pillow": "PIL"}
    known = IN_EVERY_IMAGE | {modules.get(name, name) for name in required}
    own = {path.stem for path in (PROJECT / "training").glob("*.py")}
    for path in (PROJECT / "training").rglob("*.py"):
        # AWS's inference image has the toolkit, and inference.py goes without it elsewhere.
        toolkit = {"sagemaker_inference"} if path.name == "inference.py" else set()
        assert foreign(path, known | own | toolkit | {"data_sets"}) == set(), path


@pytest.mark.parametrize("package", ["data_sets", "pipeline_language", "run_costs", "source_code"])
def test_a_package_that_others_share_needs_the_standard_library_only(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert foreign(path, {package}) == set(), path


def test_an_import_of_another_package_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import json\nimport torch.nn\n\n\ndef late():\n    from boto3 import client\n    import infra.parts\n"
    )
    assert foreign(file, {"torch"}) == {"boto3", "infra"}


@pytest.mark.parametrize("path", tracked("*.py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree) or path.name in ("__init__.py", "conftest.py")


@pytest.mark.process
def test_an_archive_is_unpacked_by_the_function_that_each_python_has() -> None:
    """Python 3.11.2 has no filters of tarfile; 3.12 warns without one."""
    its_place = ROOT / "local_cloud/sagemaker/hosting/model_archive.py"
    found = {
        str(path.relative_to(ROOT))
        for path in tracked("*.py")
        if path not in (its_place, Path(__file__)) and 'filter="data"' in path.read_text()
    }
    assert found == set()


def test_the_readme_names_only_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:^|[/`(])headrace(?: --env \w+)? ([a-z]+)", text, re.MULTILINE))
    assert named
    assert named <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("path", tracked("*.md"), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8"))
    missing = [target for target in targets if "://" not in target and not (path.parent / target).exists()]
    assert missing == []


def foreign(path: Path, allowed: set[str]) -> set[str]:
    """The packages that a file imports beside those of the standard library and the allowed ones."""
    return {name.partition(".")[0] for name in imported(path.read_text())} - sys.stdlib_module_names - allowed


USERS_OWN = re.compile(r"""(?:ROOT|parents\[\d\]\)?) / ["'](?:environments\.toml|prices\.toml|training\b)""")


@pytest.mark.process
def test_the_suite_reads_nothing_that_is_a_users_to_change() -> None:
    """Tests read environments.toml, prices.toml and training/ of the suite's project; `make check` reads a user's."""
    looking = ("tests/check/", "tests/prove/test_adopters.py", "tests/support/own_jobs.py")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked("tests/*.py")
        if not path.relative_to(ROOT).as_posix().startswith((*looking, "tests/support/shipped_training.py"))
        for match in USERS_OWN.finditer(path.read_text("utf-8"))
    ]
    assert not found, "read it below PROJECT of tests/support/suite.py"
