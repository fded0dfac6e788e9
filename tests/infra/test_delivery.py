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

from environments.delivery import load_delivery_settings
from environments.typed_table import SettingsError

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ISSUER = "token.actions.githubusercontent.com"
REPOSITORY = 'repository = "team/headrace"\nowner_id = 123456\nrepository_id = 456789\n'
GOOD = '[dev]\naccount = "123456789012"\nregion = "eu-central-1"\n'


def steps(workflow: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(workflow.read_text())
    return [step for job in content["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("approve", [True, False])
def test_cdk_nag_and_cfn_lint_have_no_finding(delivery: Callable[..., Any], approve: bool) -> None:
    stack = delivery(approve=approve)
    assert stack.findings == ""
    assert not lint(json.dumps(stack.content), config=ManualArgs(regions=["eu-central-1"]))


IMMUTABLE, NAME = "repo:team@123456/headrace@456789", "repo:team/headrace"
DEPLOY_WORKFLOW = "team/headrace/.github/workflows/deploy.yml@refs/heads/main"


def token(subject: str, **claims: str) -> dict[str, str]:
    """The claims that decide, as GitHub documents them for a job of deploy.yml on main."""
    known = {"aud": "sts.amazonaws.com", "repository_id": "456789", "job_workflow_ref": DEPLOY_WORKFLOW}
    return {**known, "sub": subject, **claims}


def accepts(stack: Any, role: str, claims: dict[str, str]) -> bool:
    """Evaluate the trust policy as STS does: StringEquals compares whole values, and an absent claim equals none."""
    (statement,) = stack.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"].keys() == {"StringEquals"}
    return all(
        claims.get(key.removeprefix(f"{ISSUER}:")) == value
        for key, value in statement["Condition"]["StringEquals"].items()
    )


@pytest.mark.parametrize(("subject_format", "prefix"), [("immutable", IMMUTABLE), ("name", NAME)])
@pytest.mark.parametrize(
    ("role", "approve", "suffix"),
    [("Deploy", True, "environment:dev"), ("Deploy", False, "ref:refs/heads/main"), ("Diff", True, "pull_request")],
)
def test_role_trusts_the_token_of_its_jobs(
    delivery: Callable[..., Any], role: str, approve: bool, suffix: str, subject_format: str, prefix: str
) -> None:
    stack = delivery(approve=approve, subject_format=subject_format)
    assert accepts(stack, role, token(f"{prefix}:{suffix}"))


NEAR_MISSES = {
    "another branch": token(f"{IMMUTABLE}:ref:refs/heads/main2"),
    "a tag of the branch's name": token(f"{IMMUTABLE}:ref:refs/tags/main"),
    "a pull request": token(f"{IMMUTABLE}:pull_request"),
    "another environment": token(f"{IMMUTABLE}:environment:development"),
    "an environment's name in capitals": token(f"{IMMUTABLE}:environment:Dev"),
    "the name without numbers": token(f"{NAME}:environment:dev"),
    "a recreated repository": token("repo:team@123456/headrace@999999:environment:dev", repository_id="999999"),
    "a recreated owner": token("repo:team@999999/headrace@456789:environment:dev"),
    "another repository's number": token(f"{IMMUTABLE}:environment:dev", repository_id="4567890"),
    "numbers joined by a hyphen": token("repo:team-123456/headrace-456789:environment:dev"),
    "a repository whose name begins alike": token("repo:team@123456/headrace-fork@456789:environment:dev"),
    "another audience": token(f"{IMMUTABLE}:environment:dev", aud="https://github.com/team"),
    "another workflow": token(f"{IMMUTABLE}:environment:dev", job_workflow_ref=DEPLOY_WORKFLOW.replace("deploy", "x")),
    "the workflow on another branch": token(f"{IMMUTABLE}:environment:dev", job_workflow_ref=DEPLOY_WORKFLOW + "2"),
    "no workflow": {k: v for k, v in token(f"{IMMUTABLE}:environment:dev").items() if k != "job_workflow_ref"},
    "nothing": {},
}


@pytest.mark.parametrize("claims", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_role_that_deploys_refuses_every_near_miss(delivery: Callable[..., Any], claims: dict[str, str]) -> None:
    stack = delivery(approve=True)
    assert accepts(stack, "Deploy", token(f"{IMMUTABLE}:environment:dev")), "the control"
    assert not accepts(stack, "Deploy", claims)


def test_role_of_pull_requests_refuses_a_branch(delivery: Callable[..., Any]) -> None:
    assert not accepts(delivery(approve=True), "Diff", token(f"{IMMUTABLE}:ref:refs/heads/main"))


def test_tokens_by_name_are_refused_for_another_repository_of_that_name(delivery: Callable[..., Any]) -> None:
    """GitHub lets a new owner take an abandoned name; only the number distinguishes the two repositories."""
    stack = delivery(approve=True, subject_format="name")
    assert accepts(stack, "Deploy", token(f"{NAME}:environment:dev"))
    assert not accepts(stack, "Deploy", token(f"{NAME}:environment:dev", repository_id="999999"))


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


INSTALLS_OR_SYNTHESIZES = re.compile(
    r"\b(make|pip|npm|npx (?!--no-install cdk (deploy|diff) --app cdk\.out)|cdk synth)\b"
)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_nothing_is_installed_or_synthesized_where_aws_credentials_are(workflow: Path) -> None:
    """A package that is installed beside credentials can use them: the CDK deploys what is already written."""
    for name, job in yaml.safe_load(workflow.read_text())["jobs"].items():
        before, found = [], False
        for step in job.get("steps", []):
            found = found or "configure-aws-credentials" in step.get("uses", "")
            if found and "run" in step:
                assert not INSTALLS_OR_SYNTHESIZES.search(step["run"]), f"{name}: {step['run']}"
            elif "run" in step:
                before.append(step["run"])
        if job.get("permissions", {}).get("id-token") == "write" and "steps" in job:
            assert found
            assert not any("make" in command or "pip install" in command for command in before), (
                f"{name} may ask for a token, and its job installs Python packages: {before}"
            )
            assert all("--ignore-scripts" in command for command in before if "npm ci" in command)


def test_pull_request_is_compared_by_the_base_branchs_command_line() -> None:
    """The pull request's own package-lock.json would choose the program that gets the credentials."""
    diff = yaml.safe_load((ROOT / ".github" / "workflows" / "delivery.yml").read_text())["jobs"]["diff"]
    assert diff["steps"][0]["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"


def test_main_reaches_dev_then_staging_then_prod_and_pull_requests_reach_none() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "delivery.yml").read_text())["jobs"]
    assert [jobs[name]["needs"] for name in ("dev", "staging", "prod")] == ["check", "dev", "staging"]
    assert [jobs[name]["with"]["approved"] for name in ("dev", "staging", "prod")] == [False, True, True]
    assert jobs["dev"]["if"] == "github.event_name == 'push'"
    assert "pull_request" in jobs["diff"]["if"]
    commands = [step["run"] for step in jobs["check"]["steps"] if "run" in step]
    assert commands[0] == "make check"  # not the suite, which tests Headrace and not what a team has changed
    assert "make synth" in commands[1]


@pytest.mark.parametrize("what", ["deploy", "diff"])
def test_workflow_takes_on_the_role_that_the_stack_makes(
    delivery: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    (tmp_path / "environments.toml").write_text(GOOD + "[dev.delivery]\n" + REPOSITORY)
    said = target(tmp_path, "dev", what, *(["true"] if what == "deploy" else []))
    name = delivery(approve=True).properties(what.capitalize())["RoleName"]
    assert said == ["configured=true", "region=eu-central-1", f"role=arn:aws:iam::123456789012:role/{name}"]


def test_environment_that_no_repository_deploys_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(GOOD)
    assert target(tmp_path, "dev", "deploy", "false") == target(tmp_path, "gone", "diff") == ["configured=false"]


def test_job_that_does_not_wait_for_the_reviewer_that_the_role_requires_is_reported(tmp_path: Path) -> None:
    """AWS would only say that the job may not assume the role."""
    (tmp_path / "environments.toml").write_text(GOOD + "[dev.delivery]\n" + REPOSITORY)
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
        ('repository = "team/headrace"\n', "owner_id is missing"),
        ('repository = "team/headrace"\nowner_id = 1\n', "repository_id is missing"),
        (REPOSITORY.replace("456789", "0"), "repository_id is 0"),
        (REPOSITORY.replace("456789", '"456789"'), "repository_id is '456789'"),
        (REPOSITORY.replace("team/", ""), "repository is 'headrace'"),
        (REPOSITORY.replace("team/", "team@123456/"), "repository is 'team@123456/headrace'"),
        (REPOSITORY + 'branch = "*"\n', r"branch is '\*'"),
        (REPOSITORY + 'oidc_provider = "none"\n', "oidc_provider is 'none'"),
        (REPOSITORY + 'subject_format = "id"\n', "subject_format is 'id'"),
        (REPOSITORY + 'approve = "yes"\n', "approve is 'yes'"),
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
    with pytest.raises(SettingsError, match="no repository deploys dev"):
        load_delivery_settings(path, "dev")
