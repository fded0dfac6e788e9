"""Synthesis is pure, and AWS's own judges have nothing to say to what comes out."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from suite import PROJECT
from thorough import some

from environments.settings import PROJECTS

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = tuple(name for name in tomllib.loads((PROJECT / "environments.toml").read_text()) if name != PROJECTS)
REPEATED = some(("prod",), thorough=ENVIRONMENTS)  # prod has the most settings
STACKS = (*((name, "") for name in ENVIRONMENTS), ("staging", "vpc"), ("prod", "vpc"))


@pytest.fixture(params=[*STACKS, "source", "serving"], ids=str)
def stack(synthesized: Callable[..., Any], promoting: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    """Each environment, in its network and in a VPC, and the pair of which one promotes from the other."""
    pair = {"source": "dev", "serving": "live"}
    if request.param in pair:
        return promoting(pair[request.param])
    environment, network = request.param
    return synthesized(environment, network=network)


def test_cdk_nag_has_no_finding(stack: Any) -> None:
    """Of AwsSolutions and NIST 800-53 R5, but those that are acknowledged, each on its construct with its reason."""
    assert stack.findings == ""


def test_cfn_lint_has_no_finding(stack: Any) -> None:
    """W3005 is about dependencies that are said twice, which CDK does for every function and its role."""
    text = json.dumps(stack.content)
    assert not lint(text, config=ManualArgs(regions=[stack.settings.region], ignore_checks=["W3005"]))


def test_template_fits_cloudformation(stack: Any) -> None:
    """A template may have 1 MB and 500 resources, a role's inline policies 10,240 characters without white space."""
    assert len(json.dumps(stack.content)) < 500_000
    assert len(stack.content["Resources"]) < 200
    for resource in stack.content["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            assert len(json.dumps(resource["Properties"]["PolicyDocument"], separators=(",", ":"))) < 10_240


def synthesize(folder: Path, context: dict[str, str], **environment: str) -> dict[str, bytes]:
    """`cdk synth` as the CDK command does it: runs the app as a process and passes the context in its environment."""
    known = json.loads((ROOT / "cdk.json").read_text())["context"]
    subprocess.run(
        [sys.executable, str(PROJECT / "app.py")],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "CDK_OUTDIR": str(folder / "cdk.out"),
            "CDK_CONTEXT_JSON": json.dumps(known | context),
            **environment,
        },
        cwd=PROJECT,
        check=True,
    )
    files = (path for path in (folder / "cdk.out").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "context", [*({"env": name} for name in REPEATED), {"catalog": "dev"}, {"project": "true"}], ids=str
)
def test_same_source_gives_same_bytes(tmp_path: Path, context: dict[str, str]) -> None:
    """Templates, assets, manifest, tree: in another folder, another hash order, another time zone, with credentials."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = synthesize(tmp_path / "one", context, PYTHONHASHSEED="1", TZ="UTC")
    second = synthesize(
        tmp_path / "two",
        context,
        PYTHONHASHSEED="2",
        TZ="Asia/Tokyo",
        AWS_ACCESS_KEY_ID="AKIA",
        AWS_REGION="ap-south-1",
    )
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []
    (template,) = (content for name, content in first.items() if name.endswith(".template.json"))
    assert str(ROOT).encode() not in template


def test_unknown_environment_is_one_clear_error(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, str(PROJECT / "app.py")],
        env={"PATH": os.environ["PATH"], "CDK_OUTDIR": str(tmp_path), "CDK_CONTEXT_JSON": '{"env": "nowhere"}'},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: environments.toml: there is no environment 'nowhere'; there are local, dev")
    assert "\nhint: " in answer.stderr
    assert "Traceback" not in answer.stderr
