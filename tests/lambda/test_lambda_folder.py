"""What AWS unpacks: it runs with nothing but the standard library and boto3, and names a setting that is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from import_roots import imported

from shared import aws

FOLDER = Path(aws.__file__).parents[1]
FUNCTIONS = sorted(path.parent.name for path in FOLDER.glob("*/handler.py"))
COPIED = {"data_sets", "run_costs", "source_code"}  # packages that infra/parts/lambda_function.py copies into the asset
FOR_TYPES = {"mypy_boto3_sagemaker"}  # never imported at run time: a test below would fail
FOREIGN = {*FUNCTIONS, "shared"}
FILES = sorted(FOLDER.rglob("*.py"))
# The folders of start_pipeline, each with those that it may import.
FOLDERS = {"definition": set[str](), "uploads": {"definition"}, "runs": {"uploads", "definition"}}


def forbidden(package: str, text: str) -> set[str]:
    """What a file of the package must not import: a function imports itself and `shared`, and `shared` only itself."""
    allowed = sys.stdlib_module_names | {"boto3", "botocore", "shared", package} | FOR_TYPES | COPIED
    return {name for name in imported(text) if name.partition(".")[0] not in allowed}


def wrong_folders(folder: str, text: str) -> set[str]:
    """The folders of start_pipeline that a file of `folder` imports and must not import."""
    used = {name.split(".")[1] for name in imported(text) if name.startswith("start_pipeline.")}
    return used & FOLDERS.keys() - {folder} - FOLDERS[folder]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_function_imports_the_standard_library_boto3_and_shared_modules_only(path: Path) -> None:
    assert forbidden(path.relative_to(FOLDER).parts[0], path.read_text()) == set()


@pytest.mark.parametrize("package", sorted(FOREIGN))
@pytest.mark.parametrize("other", [*FUNCTIONS, "headrace", "pydantic"])
def test_an_import_of_another_function_or_another_package_is_noticed(package: str, other: str) -> None:
    for text in (f"import {other}.handler", f"from {other}.handler import handle", f"from {other} import handler"):
        assert bool(forbidden(package, text)) == (package != other)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_start_pipeline_imports_only_folders_below_it(folder: str) -> None:
    for path in (FOLDER / "start_pipeline" / folder).glob("*.py"):
        assert wrong_folders(folder, path.read_text()) == set(), path


def test_an_import_from_below_to_above_is_noticed() -> None:
    assert wrong_folders("definition", "from start_pipeline.uploads import keys") == {"uploads"}
    assert wrong_folders("definition", "from start_pipeline import runs") == {"runs"}
    assert wrong_folders("uploads", "import start_pipeline.runs.ledger") == {"runs"}
    assert wrong_folders("runs", "from start_pipeline.uploads.snapshot import Snapshot") == set()


@pytest.mark.process
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_importable_without_the_type_stubs_and_makes_no_client(function: str) -> None:
    code = f"""
import sys
sys.modules["mypy_boto3_sagemaker"] = None
sys.path[:0] = [{str(FOLDER)!r}]
from {function}.handler import handle
from shared import aws
assert aws.client.cache_info().misses == 0
assert not [name for name in sys.modules if name.partition(".")[0] in ("training", "infra", "headrace")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert aws.client("sqs") is aws.client("sqs")
    aws.client.cache_clear()
