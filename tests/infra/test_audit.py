"""Checkov, an IAM linter, a search for secrets and two linters of workflows find nothing new: `make audit`.

They run locally and send nothing to any service. Accepted findings are in audit/accepted.toml, each with its reason.
"""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AUDIT = Path(__file__).parent / "audit"
INSTALLED = ROOT / ".venv" / "audit" / "installed"
STACKS = (("dev", ""), ("prod", ""), ("prod", "vpc"))  # environment and network
REGION, ACCOUNT = "eu-central-1", "111122223333"
ARNS = {
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{{}}",
}
PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}
DOCUMENTS = {"AssumeRolePolicyDocument": "trust", "KeyPolicy": "resource", "PolicyDocument": "resource"}
Judge = Callable[..., Any]
Finding = tuple[str, str]
"""What was found, and where."""


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Runs a Python program or module of the audit's environment; gives the JSON that it prints."""
    if not INSTALLED.exists():
        pytest.skip("the judges are not installed: `make audit` installs them into .venv/audit and runs this")

    def run(*arguments: str, stdin: str = "") -> Any:
        ended = subprocess.run(
            [INSTALLED.parent / "bin" / "python", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LOG_LEVEL": "ERROR"},
        )
        try:
            return json.loads(ended.stdout)
        except ValueError:
            pytest.fail(f"{arguments[0]} printed no JSON but {ended.stdout!r}: {ended.stderr}")

    return run


def checkov(judge: Judge, framework: str, files: Iterable[Path]) -> list[dict[str, Any]]:
    """Its failed checks. `--skip-download` keeps it from asking its makers for severities."""
    named = [str(path) for path in files]
    options = ["--framework", framework, "--enable-secret-scan-all-files", "--skip-download", "--output", "json"]
    report = judge("-m", "checkov.main", *options, "--file", *named)
    if "results" not in report:  # it has no report when it found nothing that it could check
        assert report.keys() >= {"passed", "failed"}, report
        assert framework == "secrets", f"checkov checked nothing of {named}"
        return []
    assert report["summary"]["parsing_errors"] == 0
    failed: list[dict[str, Any]] = report["results"]["failed_checks"]
    return failed


def policies(stack: Any) -> dict[str, dict[str, Any]]:
    """Every policy of the stack by the path of its resource, with its references made ARNs."""
    found = {}
    for path, resource in stack.resources.items():
        for name, kind in DOCUMENTS.items():
            if name in resource.get("Properties", {}):
                document = resolved(stack, resource["Properties"][name])
                if kind == "trust":  # it says nothing of a resource, and means its role
                    for statement in document["Statement"]:
                        statement["Resource"] = ARNS["AWS::IAM::Role"].format(path)
                identity = resource["Type"] == "AWS::IAM::Policy"
                found[path] = {"document": document, "kind": "identity" if identity else kind}
    return found


def resolved(stack: Any, value: Any) -> Any:
    match value:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(resolved(stack, part) for part in parts)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return ARNS[stack.content["Resources"][name]["Type"]].format(name.lower())
        case {"Ref": str(name)} if name in PSEUDO_PARAMETERS:
            return PSEUDO_PARAMETERS[name]
        case {"Ref": str(name)} if stack.content["Resources"][name]["Type"] == "AWS::SNS::Topic":
            return ARNS["AWS::SNS::Topic"].format(name)
        case {"Ref": str(name)} if stack.content["Resources"][name]["Type"] == "AWS::EC2::Subnet":
            return f"subnet-{name}"
        case {"Fn::GetAtt": [str(name), "GroupId"]}:
            return f"sg-{name}"
        case {"Fn::Sub": str(text)}:
            for name, known in PSEUDO_PARAMETERS.items():
                text = text.replace(f"${{{name}}}", known)
            return text
        case {"Fn::GetAtt": _} | {"Ref": _} | {"Fn::ImportValue": _} | {"Fn::Select": _}:
            raise AssertionError(f"{value} in a policy: say here which ARN it stands for")
        case dict():
            return {key: resolved(stack, item) for key, item in value.items()}
        case list():
            return [resolved(stack, item) for item in value]
    return value


def assert_all_accepted(tool: str, found: set[Finding]) -> None:
    entries = tomllib.loads((AUDIT / "accepted.toml").read_text())[tool]
    assert all(entry["because"].strip() for entry in entries)
    accepted = {(entry["check"], where) for entry in entries for where in entry["where"]}
    new, gone = sorted(found - accepted), sorted(accepted - found)
    assert not new, "new findings: fix them, or accept them in audit/accepted.toml with the reason"
    assert not gone, "accepted in audit/accepted.toml, but not found any more: take them out"


def test_checkov_finds_nothing_new(judge: Judge, synthesized: Callable[..., Any], tmp_path: Path) -> None:
    found = set()
    for environment, network in STACKS:
        stack = synthesized(environment, network=network)
        template = tmp_path / f"{environment}{network}.template.json"
        template.write_text(json.dumps(stack.content))
        paths = {stack.logical_id(path): path for path in stack.resources}
        for check in checkov(judge, "cloudformation", [template]):
            found.add((check["check_id"], paths[check["resource"].rpartition(".")[2]]))
    assert_all_accepted("checkov", found)


def test_iam_linter_finds_nothing_new(judge: Judge, synthesized: Callable[..., Any]) -> None:
    """In what roles may do, in who may assume them, and in the policies of bucket, queues, topic and keys."""
    found = set()
    for environment, network in STACKS:
        written = policies(synthesized(environment, network=network))
        assert {policy["kind"] for policy in written.values()} == {"identity", "trust", "resource"}
        found |= {(check, path) for path, check, _ in judge(str(AUDIT / "iam_linter.py"), stdin=json.dumps(written))}
    assert_all_accepted("parliament", found)


def test_no_secret_is_in_the_repository(judge: Judge) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    found = set()
    for check in checkov(judge, "secrets", files):
        where = Path(check["file_abs_path"]).relative_to(ROOT)
        found.add((check["check_id"], f"{where} {check['resource'][:8]}"))  # a hash of what was found
    assert_all_accepted("secrets", found)


def test_checkov_itself_finds_what_is_wrong(judge: Judge, tmp_path: Path) -> None:
    template = tmp_path / "open.template.json"
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"AccessControl": "PublicRead"}}
    template.write_text(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Open": bucket}}))
    assert "CKV_AWS_20" in {check["check_id"] for check in checkov(judge, "cloudformation", [template])}


@pytest.mark.parametrize(
    ("wrong", "finding"),
    [
        ({"Action": "s3:GetObjcet", "Resource": "*"}, "UNKNOWN_ACTION"),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}, "RESOURCE_MISMATCH"),
        ({"Action": "s3:PutObject", "Resource": "*"}, "RESOURCE_STAR"),
        (
            {
                "Action": "sagemaker:StopTrainingJob",
                "Resource": "arn:aws:sagemaker:eu-central-1:111122223333:training-job/x",
                "Condition": {"StringEquals": {"s3:prefix": "x"}},
            },
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
    ],
)
def test_iam_linter_itself_finds_what_is_wrong(judge: Judge, wrong: dict[str, Any], finding: str) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **wrong}]}
    written = {"it": {"document": document, "kind": "identity"}}
    assert finding in {check for _, check, _ in judge(str(AUDIT / "iam_linter.py"), stdin=json.dumps(written))}


def test_search_for_secrets_itself_finds_one(judge: Judge, tmp_path: Path) -> None:
    """The key is put together here, so that the search does not find it in this file."""
    leak = tmp_path / "settings.py"
    leak.write_text(f'AWS_SECRET_ACCESS_KEY = "{"wJalrXUtnFEMI" + "K7MDENGbPxRfiCY" + "zT4q8LmNoPqR"}"\n')
    assert [Path(check["file_abs_path"]) for check in checkov(judge, "secrets", [leak])] == [leak]


def workflow_findings(folder: Path) -> set[Finding]:
    """By zizmor (security, offline) and actionlint (syntax, expressions): the check, with the file or file:line."""
    tools = INSTALLED.parent / "bin"
    files = [str(path) for path in sorted(folder.glob("*.yml"))]
    asked = subprocess.run(
        [tools / "zizmor", "--offline", "--no-progress", "--format", "json", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    found = {
        (finding["ident"], Path(place["symbolic"]["key"]["Local"]["verbatim_path"]).name)
        for finding in json.loads(asked.stdout)
        for place in finding["locations"]
        if not finding["ignored"]
    }
    asked = subprocess.run(
        [tools / "actionlint", "-format", "{{json .}}", "-shellcheck", "", "-pyflakes", "", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found | {(it["kind"], f"{Path(it['filepath']).name}:{it['line']}") for it in json.loads(asked.stdout)}


def test_linters_of_workflows_find_nothing_new() -> None:
    if not INSTALLED.exists():
        pytest.skip("the judges are not installed: `make audit` installs them into .venv/audit and runs this")
    assert_all_accepted("workflows", workflow_findings(ROOT / ".github" / "workflows"))


def test_linters_of_workflows_themselves_find_what_is_wrong(tmp_path: Path) -> None:
    if not INSTALLED.exists():
        pytest.skip("the judges are not installed: `make audit` installs them into .venv/audit and runs this")
    (tmp_path / "bad.yml").write_text(
        "on: pull_request\njobs:\n  it:\n    runs-on: ubuntu-24.04\n    needs: nobody\n    steps:\n"
        "      - uses: actions/checkout@v4\n      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    found = {check for check, _ in workflow_findings(tmp_path)}
    assert {"unpinned-uses", "template-injection", "job-needs"} <= found


def test_a_new_and_a_stale_finding_fail() -> None:
    with pytest.raises(AssertionError, match="take them out"):
        assert_all_accepted("checkov", set())
    accepted = tomllib.loads((AUDIT / "accepted.toml").read_text())["checkov"]
    found = {(entry["check"], where) for entry in accepted for where in entry["where"]}
    with pytest.raises(AssertionError, match="new findings"):
        assert_all_accepted("checkov", found | {("CKV_AWS_18", "Another/Bucket")})
