"""Who deploys from a repository: roles that trust one repository's workflows, and workflows that use just these."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from infra.delivery_settings import load_delivery_settings
from infra.typed_table import SettingsError

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ISSUER = "token.actions.githubusercontent.com"
GOOD = '[dev]\naccount = "123456789012"\nregion = "eu-central-1"\n'


def steps(workflow: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(workflow.read_text())
    return [step for job in content["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("approve", [True, False])
def test_cdk_nag_and_cfn_lint_have_no_finding(delivery: Callable[..., Any], approve: bool) -> None:
    stack = delivery(approve=approve)
    assert stack.findings == ""
    assert not lint(json.dumps(stack.content), config=ManualArgs(regions=["eu-central-1"]))


@pytest.mark.parametrize(
    ("role", "approve", "subject"),
    [
        ("Deploy", True, "repo:team/headrace:environment:dev"),
        ("Deploy", False, "repo:team/headrace:ref:refs/heads/main"),
        ("Diff", True, "repo:team/headrace:pull_request"),
    ],
)
def test_role_trusts_one_repository_and_what_was_let_in(
    delivery: Callable[..., Any], role: str, approve: bool, subject: str
) -> None:
    (statement,) = delivery(approve=approve).properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": subject}}


def test_roles_take_on_the_cdks_roles_and_have_no_other_right(delivery: Callable[..., Any]) -> None:
    kinds = {"Deploy": ["deploy-role", "file-publishing-role", "lookup-role"], "Diff": ["lookup-role"]}
    for role, expected in kinds.items():
        (statement,) = delivery(approve=True).statements(role)
        assert statement["Action"] == "sts:AssumeRole"
        found = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        roles = [f"arn:aws:iam::123456789012:role/cdk-hnb659fds-{kind}-123456789012-eu-central-1" for kind in expected]
        assert found == roles


def test_account_that_has_githubs_provider_keeps_it(delivery: Callable[..., Any]) -> None:
    stack = delivery(approve=True, oidc_provider="existing")
    assert not [item for item in stack.resources.values() if item["Type"] == "AWS::IAM::OIDCProvider"]
    (statement,) = stack.properties("Deploy")["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_rights_are_few(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert set(job.get("permissions", {})) <= {"contents", "id-token"}
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_puts_what_others_wrote_into_a_shell(workflow: Path) -> None:
    """An expression in a command is text that the shell reads: values go by the environment."""
    for step in steps(workflow):
        for found in re.findall(r"\$\{\{\s*([^}]*?)\s*\}\}", step.get("run", "")):
            raise AssertionError(f"{workflow.name}: {found}")


def test_main_reaches_dev_then_staging_then_prod_and_pull_requests_reach_none() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "delivery.yml").read_text())["jobs"]
    assert [jobs[name]["needs"] for name in ("dev", "staging", "prod")] == ["check", "dev", "staging"]
    assert [jobs[name]["with"]["approved"] for name in ("dev", "staging", "prod")] == [False, True, True]
    assert jobs["dev"]["if"] == "github.event_name == 'push'"
    assert "pull_request" in jobs["diff"]["if"]
    commands = [step["run"] for step in jobs["check"]["steps"] if "run" in step]
    assert commands[:2] == ["make lint", "make test"]
    assert "make synth" in commands[2]


@pytest.mark.parametrize("what", ["deploy", "diff"])
def test_workflow_takes_on_the_role_that_the_stack_makes(
    delivery: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    (tmp_path / "environments.toml").write_text(GOOD + '[dev.delivery]\nrepository = "team/headrace"\n')
    said = target(tmp_path, "dev", what, *(["true"] if what == "deploy" else []))
    name = delivery(approve=True).properties(what.capitalize())["RoleName"]
    assert said == ["configured=true", "region=eu-central-1", f"role=arn:aws:iam::123456789012:role/{name}"]


def test_environment_that_no_repository_deploys_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(GOOD)
    assert target(tmp_path, "dev", "deploy", "false") == target(tmp_path, "gone", "diff") == ["configured=false"]


def test_job_that_does_not_wait_for_the_reviewer_whom_the_role_asks_for_is_told(tmp_path: Path) -> None:
    """AWS would only say that it may not take on the role."""
    (tmp_path / "environments.toml").write_text(GOOD + '[dev.delivery]\nrepository = "team/headrace"\n')
    with pytest.raises(subprocess.CalledProcessError) as caught:
        target(tmp_path, "dev", "deploy", "false")
    assert "approve = true, this job runs as false\nhint: " in caught.value.stderr


def target(folder: Path, *arguments: str) -> list[str]:
    script = ROOT / ".github" / "target.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "repository is missing"),
        ('repository = "headrace"\n', "repository is 'headrace'"),
        ('repository = "team/headrace"\nbranch = "*"\n', r"branch is '\*'"),
        ('repository = "team/headrace"\noidc_provider = "none"\n', "oidc_provider is 'none'"),
        ('repository = "team/headrace"\napprove = "yes"\n', "approve is 'yes'"),
    ],
)
def test_what_is_wrong_in_a_table_of_delivery_is_said(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(f"{GOOD}[dev.delivery]\n{text}")
    with pytest.raises(SettingsError, match=what) as caught:
        load_delivery_settings(path, "dev")
    assert "\nhint: " in str(caught.value)


def test_environment_without_the_table_is_said(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(GOOD)
    with pytest.raises(SettingsError, match="dev is deployed by no repository"):
        load_delivery_settings(path, "dev")
