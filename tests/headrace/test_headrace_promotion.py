"""The command line for an environment that serves what another one approves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_aws import ACCOUNT, OUTPUTS, REGION, FakeAws, Refusal
from scripted_cloud import Result
from scripted_sagemaker import FakeSageMaker

Headrace = Callable[..., Result]

SOURCE = "111111111111"
GROUP = f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package-group/headrace-dev"
SERVING = ("--local", "--env", "live")


@pytest.fixture(autouse=True)
def promoting(aws: FakeAws, tmp_path: Path) -> None:
    """live, deployed, promotes from dev."""
    tables = f'[dev]\naccount = "{SOURCE}"\n[live]\naccount = "{ACCOUNT}"\nregion = "{REGION}"\npromotes_from = "dev"\n'
    (tmp_path / "environments.toml").write_text(tables)
    kept = (
        "EndpointName",
        "DecisionQueueUrl",
        "DecisionDeadLetterQueueUrl",
        "NoticeQueueUrl",
        "NoticeDeadLetterQueueUrl",
    )
    aws.outputs = {name: OUTPUTS[name] for name in kept}
    aws.outputs |= {"PromotesFrom": "dev", "ModelPackageGroupName": GROUP}


@pytest.fixture
def versions(sagemaker: FakeSageMaker) -> FakeSageMaker:
    sagemaker.add_package(1, "Approved")
    sagemaker.add_package(2, "PendingManualApproval")
    sagemaker.model_of["config-v1"] = f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package/headrace-dev/1"
    return sagemaker


def test_models_are_those_of_the_source(headrace: Headrace, versions: FakeSageMaker, aws: FakeAws) -> None:
    """Asked for by the group's ARN; a decision is the source's."""
    result = headrace(*SERVING, "models")
    assert result.status == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines()] == ["version", "2", "1"]
    assert {request["ModelPackageGroupName"] for request in aws.requests("ListModelPackages")} == {GROUP}
    assert "next: headrace --local --env dev approve 2" in result.err


@pytest.mark.parametrize("serves", [True, False])
def test_a_stack_of_one_kind_is_not_deployed_over_one_of_the_other(
    headrace: Headrace, aws: FakeAws, tmp_path: Path, serves: bool
) -> None:
    """The deployment would delete the resources of the existing stack. The CDK is not even called."""
    text = (tmp_path / "environments.toml").read_text()
    if serves:
        (tmp_path / "environments.toml").write_text(text.replace('promotes_from = "dev"', ""))
    else:
        aws.outputs = dict(OUTPUTS)
    result = headrace(*SERVING, "deploy")
    assert result.status == 1
    said = "serves what dev approves" if serves else "trains, and holds data and models"
    assert f"headrace-live {said}; as environments.toml has it now, it would" in result.err
    assert "hint: headrace --local --env live destroy   # if that is meant" in result.err
    assert {name for name, _ in aws.calls} == {"DescribeStacks"}


def test_what_lies_in_the_source_s_account_is_not_asked_for(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    """Evaluation and run of a version that records neither accuracy nor data set: this account may not read them."""
    sagemaker.add_package(1, "Approved", CustomerMetadataProperties={})
    (model,) = headrace(*SERVING, "models", "--json").data
    assert (model["accuracy"], model["data_set"], model["run"]) == (None, None, "run1")
    assert aws.requests("ListPipelineParametersForExecution") == []


def test_status_shows_the_source_its_versions_and_the_endpoint(headrace: Headrace, versions: FakeSageMaker) -> None:
    versions.serve(1)
    result = headrace(*SERVING, "status")
    assert result.status == 0, result.err
    lines = {line.split("  ")[0]: line for line in result.out.splitlines()}
    assert "dev" in lines["promotes from"]
    assert "1 Approved, 1 PendingManualApproval" in lines["registry"]
    assert "InService, serves version 1" in lines["endpoint"]
    assert not {"data bucket", "last runs"} & set(lines)
    assert "next: headrace --local --env live predict IMAGE" in result.err


def test_a_closed_registry_is_reported_with_the_command_that_opens_it(
    headrace: Headrace, aws: FakeAws, sagemaker: FakeSageMaker
) -> None:
    def refuse(request: object) -> None:
        raise Refusal("AccessDeniedException", "no resource-based policy allows the sagemaker:ListModelPackages action")

    aws.answers["ListModelPackages"] = refuse
    models = headrace(*SERVING, "models")
    assert models.status == 1
    assert f"error: dev does not let account {ACCOUNT} read its models: no resource-based policy" in models.err
    assert "hint: headrace --local --env dev deploy" in models.err
    status = headrace(*SERVING, "status", "--json")
    assert (status.status, status.data["registry"], status.data["promotes_from"]) == (0, None, "dev")


@pytest.mark.parametrize(
    ("arguments", "there"),
    [
        (["upload", "birds"], "upload PATH"),
        (["watch"], "watch"),
        (["runs"], "runs"),
        (["run", "--again"], "run --again"),
        (["logs"], "logs"),
        (["approve", "2"], "approve VERSION"),
        (["reject", "2"], "reject VERSION"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_the_source_s_is_sent_there(
    headrace: Headrace, versions: FakeSageMaker, aws: FakeAws, arguments: list[str], there: str
) -> None:
    result = headrace(*SERVING, *arguments)
    assert result.status == 2
    assert "error: environment live serves what dev approves: it has no data, no runs and no registry" in result.err
    assert f"hint: headrace --local --env dev {there}" in result.err
    assert aws.requests("UpdateModelPackage") == []


def test_an_endpoint_that_is_not_there_yet_waits_for_the_source(
    headrace: Headrace, sagemaker: FakeSageMaker, tmp_path: Path
) -> None:
    sagemaker.add_package(1, "PendingManualApproval")
    (tmp_path / "a.jpg").write_bytes(b"a seven")
    result = headrace(*SERVING, "predict", "a.jpg")
    assert "there is no endpoint headrace-local yet" in result.err
    assert "hint: headrace --local --env dev approve latest" in result.err


def test_queues_that_serving_has_are_redriven(headrace: Headrace, aws: FakeAws) -> None:
    aws.answers["GetQueueAttributes"] = {"Attributes": {"ApproximateNumberOfMessages": "0"}}
    aws.answers["ReceiveMessage"] = {}
    result = headrace(*SERVING, "redrive", "--list")
    assert result.status == 0, result.err
    asked = {
        request.get("QueueUrl") for called, request in aws.calls if called in ("GetQueueAttributes", "ReceiveMessage")
    }
    assert asked == {"http://queues/decision-dead-letters", "http://queues/notice-dead-letters"}
