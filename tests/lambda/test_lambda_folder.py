"""What AWS unpacks: it runs with nothing but the standard library and boto3, and names a setting that is wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aws
import variables
from refusals import SettingError
from start_pipeline.environment import Environment

FOLDER = Path(aws.__file__).parent
FUNCTIONS = ["start_pipeline", "find_champion", "deploy_model", "custom_resource", "notify"]
SHARED = ("data_sets", "run_costs", "source_code")
OWN = {path.stem for path in FOLDER.iterdir() if path.stem != "__pycache__"}
FOR_TYPES = {"mypy_boto3_sagemaker"}  # never imported at run time: the next test would fail


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_function_imports_the_standard_library_and_boto3_only(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names <= sys.stdlib_module_names | {"boto3", "botocore"} | OWN | FOR_TYPES | set(SHARED)


@pytest.mark.process
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_is_importable_without_the_type_stubs_and_makes_no_client(function: str) -> None:
    code = f"""
import sys
sys.modules["mypy_boto3_sagemaker"] = None
sys.path[:0] = [{str(FOLDER)!r}]
from {function}.handler import handle
import aws
assert aws.client.cache_info().misses == 0
assert not [name for name in sys.modules if name.partition(".")[0] in ("training", "infra", "headrace")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert aws.client("sqs") is aws.client("sqs")
    aws.client.cache_clear()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATA_BUCKET", "", "DATA_BUCKET is not set"),
        ("QUIET_SECONDS", "901", "QUIET_SECONDS is '901'"),
        ("QUIET_SECONDS", "-1", "QUIET_SECONDS is '-1'"),
        ("BINDINGS", "{", "BINDINGS is no JSON"),
        ("BINDINGS", '{"DataBucket": 1}', "BINDINGS holds"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    urls = ("QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "NOTICES_QUEUE_URL")
    right = dict.fromkeys(("DATA_BUCKET", "PIPELINE_NAME", "PIPELINE_ROLE_ARN", *urls), "x")
    right |= {"QUIET_SECONDS": "60", "BINDINGS": "{}"}
    Environment.from_variables(right)
    with pytest.raises(SettingError, match=message):
        Environment.from_variables(right | {name: value})


def test_tags_may_be_left_out() -> None:
    assert variables.named_texts({}, "TAGS", default="{}") == {}
