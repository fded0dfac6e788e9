"""Model lines on the command line: which one a command concerns, that it says so, and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_aws import OUTPUTS, FakeAws, Refusal
from scripted_cloud import Result
from scripted_sagemaker import ARN, FakeSageMaker

from headrace.client.data_set import name_of
from headrace.client.environment import Environment
from headrace.project.folder import read_target

Headrace = Callable[..., Result]
GROUP, PIPELINE = OUTPUTS["ModelPackageGroupName"], OUTPUTS["PipelineName"]
LINES = {"birds": ["birds*"], "pets": ["pets*", "animals.zip"]}


@pytest.fixture
def lined(aws: FakeAws, sagemaker: FakeSageMaker) -> FakeSageMaker:
    """An environment with two declared lines; executions, versions and endpoints are each line's own."""
    aws.outputs = OUTPUTS | {"ModelLines": json.dumps(LINES)}
    listed, packages, described = (
        aws.answers[name] for name in ("ListPipelineExecutions", "ListModelPackages", "DescribeEndpoint")
    )

    def executions(request: dict[str, Any]) -> dict[str, Any]:
        every, own = sagemaker.executions, f":pipeline/{request['PipelineName']}/"
        sagemaker.executions = [run for run in every if own in run["PipelineExecutionArn"]]
        try:
            answer: dict[str, Any] = listed(request)
        finally:
            sagemaker.executions = every
        return answer

    def versions(request: dict[str, Any]) -> dict[str, Any]:
        found = packages(request)["ModelPackageSummaryList"]
        own = f":model-package/{request['ModelPackageGroupName']}/"
        return {"ModelPackageSummaryList": [item for item in found if own in item["ModelPackageArn"]]}

    def endpoint(request: dict[str, Any]) -> dict[str, Any]:
        if sagemaker.endpoint and sagemaker.endpoint["EndpointName"] == request["EndpointName"]:
            answer: dict[str, Any] = described(request)
            return answer
        raise Refusal("ValidationException", f"Could not find endpoint {request['EndpointName']}.")

    aws.answers |= {"ListPipelineExecutions": executions, "ListModelPackages": versions, "DescribeEndpoint": endpoint}
    return sagemaker


def register(sagemaker: FakeSageMaker, line: str, version: int, approval: str = "PendingManualApproval") -> None:
    group = f"{GROUP}-{line}" if line else GROUP
    more = {"ModelPackageArn": f"{ARN}:model-package/{group}/{version}", "ModelPackageGroupName": group}
    sagemaker.add_package(version, approval, **more)


def run(sagemaker: FakeSageMaker, line: str, name: str, status: str, minutes_ago: float) -> None:
    arn = sagemaker.add_run(name, status, minutes_ago=minutes_ago)
    moved = arn.replace(f"/{PIPELINE}/", f"/{PIPELINE}-{line}/") if line else arn
    sagemaker.executions[-1]["PipelineExecutionArn"] = moved
    sagemaker.steps[moved] = sagemaker.steps.pop(arn)


def serve(sagemaker: FakeSageMaker, line: str) -> None:
    sagemaker.serve(1)
    assert sagemaker.endpoint
    sagemaker.endpoint |= {
        "EndpointName": f"headrace-local-{line}",
        "EndpointArn": f"{ARN}:endpoint/headrace-local-{line}",
    }


@pytest.mark.usefixtures("lined")
def test_a_line_is_the_same_environment_with_its_own_resources(environment: Environment) -> None:
    pets = environment.in_line("pets")
    assert (pets.stack.pipeline, pets.stack.endpoint) == (f"{PIPELINE}-pets", "headrace-local-pets")
    assert pets.stack.model_package_group == f"{GROUP}-pets"
    assert pets.client("s3") is environment.client("s3")
    assert environment.in_line("default").stack == environment.stack
    assert [line.line for line in environment.every_line] == ["default", "birds", "pets"]
    assert pets.every_line == [pets]


@pytest.mark.usefixtures("lined")
def test_commands_for_a_line_carry_it_where_it_has_a_meaning(environment: Environment) -> None:
    pets = environment.in_line("pets")
    assert pets.command("approve 3") == "headrace --line pets approve 3"
    assert pets.command("redrive --list") == "headrace redrive --list"
    assert environment.command("approve 3") == "headrace approve 3"


@pytest.mark.usefixtures("sagemaker")
def test_without_declared_lines_there_is_the_default_line_only(headrace: Headrace, environment: Environment) -> None:
    assert environment.every_line == [environment]
    assert "line" not in headrace("models", "--json").out
    result = headrace("--line", "pets", "models")
    assert result.status == 2
    assert "environment local has no model line 'pets'; it has default" in result.err
    assert "hint: declare [local.lines.pets] in environments.toml, then: headrace deploy" in result.err
    assert headrace("--line", "default", "models").status == 0


@pytest.mark.parametrize("command", [["redrive"], ["notices"], ["up"], ["env"], ["deploy"], ["projects", "list"]])
def test_a_line_has_no_meaning_for_commands_of_the_whole_environment(headrace: Headrace, command: list[str]) -> None:
    for arguments in (["--line", "pets", *command], [*command, "--line", "pets"]):
        result = headrace(*arguments)
        assert result.status == 2
        assert f"--line has no meaning for {command[0]}" in result.err


def test_runs_are_those_of_all_lines_or_of_one(headrace: Headrace, lined: FakeSageMaker) -> None:
    for line, name, minutes in (("", "a", 9.0), ("pets", "b", 5.0), ("birds", "c", 7.0), ("pets", "d", 1.0)):
        run(lined, line, name, "Succeeded", minutes)
    found = headrace("runs", "--json").data
    assert [(item["line"], item["id"]) for item in found] == [
        ("pets", "d"), ("pets", "b"), ("birds", "c"), ("default", "a")
    ]  # fmt: skip
    assert headrace("runs").out.splitlines()[0].split()[0] == "line"
    assert [item["id"] for item in headrace("--line", "pets", "runs", "--json").data] == ["d", "b"]
    assert [item["id"] for item in headrace("runs", "--line", "default", "--json").data] == ["a"]


def test_a_run_is_found_in_every_line_and_only_in_the_chosen_one(headrace: Headrace, lined: FakeSageMaker) -> None:
    run(lined, "", "a", "Succeeded", 9)
    run(lined, "pets", "b", "Succeeded", 5)
    result = headrace("watch", "display-b")
    assert result.status == 0, result.err
    assert f"of {PIPELINE}-pets, started" in result.err
    result = headrace("--line", "birds", "watch", "display-b")
    assert f"no run of {PIPELINE}-birds has the name" in result.err
    result = headrace("watch", "nothing")
    assert f"no run of {PIPELINE} and {PIPELINE}-birds and {PIPELINE}-pets has the name" in result.err


def test_models_are_listed_line_after_line_and_the_next_command_names_it(
    headrace: Headrace, lined: FakeSageMaker
) -> None:
    register(lined, "", 1, "Approved")
    register(lined, "pets", 2)
    result = headrace("models")
    assert [line.split()[:2] for line in result.out.splitlines()] == [
        ["line", "version"],
        ["default", "1"],
        ["pets", "2"],
    ]
    assert "next: headrace --line pets approve 2" in result.err
    assert [(item["line"], item["version"]) for item in headrace("models", "--json").data] == [
        ("default", 1), ("pets", 2)
    ]  # fmt: skip


def test_a_version_that_one_line_has_needs_no_line(headrace: Headrace, lined: FakeSageMaker) -> None:
    register(lined, "", 1, "Approved")
    register(lined, "pets", 2)
    result = headrace("approve", "2")
    assert result.status == 0, result.err
    assert f"version 2 of {GROUP}-pets" in result.err
    assert "next: headrace --line pets predict --wait 600 IMAGE" in result.err
    assert lined.packages[0]["ModelApprovalStatus"] == "Approved"
    assert lined.packages[1]["ModelApprovalStatus"] == "Approved"


@pytest.mark.parametrize("version", ["1", "latest"])
@pytest.mark.parametrize("command", ["approve", "reject", "rollback", "evaluation"])
def test_a_version_that_several_lines_have_is_refused_with_their_names(
    headrace: Headrace, lined: FakeSageMaker, command: str, version: str
) -> None:
    register(lined, "birds", 1)
    register(lined, "pets", 1)
    result = headrace(command, version)
    assert result.status == 2
    assert "which line is meant? birds, pets have" in result.err
    assert f"hint: headrace --line birds {command} {version}   # or another of birds, pets" in result.err
    assert {package["ModelApprovalStatus"] for package in lined.packages} == {"PendingManualApproval"}


def test_a_version_that_no_line_has_is_refused_with_those_that_there_are(
    headrace: Headrace, lined: FakeSageMaker
) -> None:
    register(lined, "pets", 1)
    result = headrace("approve", "7")
    assert result.status == 1
    assert "no line has a version '7'; there is default: none; birds: none; pets: 1" in result.err


@pytest.mark.parametrize("command", [["rollback"], ["repair"]])
def test_a_command_for_one_line_whose_line_nothing_names_is_refused(
    headrace: Headrace, lined: FakeSageMaker, command: list[str]
) -> None:
    result = headrace(*command)
    assert result.status == 2
    assert f"hint: headrace --line default {command[0]}" in result.err
    assert lined.sent == []


def test_a_repair_asks_for_its_lines_endpoint(headrace: Headrace, lined: FakeSageMaker) -> None:
    register(lined, "pets", 1, "Approved")
    headrace("--line", "pets", "repair")
    assert lined.sent == [{"headrace": "look-again", "count": 0, "again": True, "line": "pets"}]


def test_predict_asks_the_only_endpoint_and_names_it(
    headrace: Headrace, lined: FakeSageMaker, aws: FakeAws, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a cat")
    aws.predict = lambda body, kind: {"predictions": [{"label": "cat", "probability": 1.0, "probabilities": {}}]}
    register(lined, "pets", 1, "Approved")
    serve(lined, "pets")
    result = headrace("predict", str(tmp_path / "a.jpg"))
    assert result.status == 0, result.err
    assert "endpoint headrace-local-pets" in result.err


def test_an_upload_names_its_line_and_goes_on_in_it(
    headrace: Headrace, lined: FakeSageMaker, aws: FakeAws, tmp_path: Path
) -> None:
    """What is refused is refused before anything is sent."""
    result = headrace("--line", "birds", "upload", str(_class_folders(tmp_path / "pets-2")))
    assert result.status == 2
    assert "the data set pets-2 belongs to the line pets, not to birds" in result.err
    assert "hint: leave --line out, or choose a name that matches birds*" in result.err
    aws.outputs = OUTPUTS | {"ModelLines": json.dumps({"a": ["pets*"], "b": ["*-2"]})}
    result = headrace("upload", str(tmp_path / "pets-2"))
    assert result.status == 2
    assert "the data set pets-2 matches the model lines a and b, and a data set has one line" in result.err
    assert "PutObject" not in [name for name, _ in aws.calls]
    assert lined.sent == []


@pytest.mark.parametrize(
    ("written", "data_set", "wanted", "deployed"),
    [
        ('[local.lines.cats]\ndata_sets = ["cats"]', "cats", "cats", "default"),
        ('[local.lines.pets]\ndata_sets = ["cats"]', "pets", "default", "pets"),
    ],
)
def test_a_data_set_of_a_line_that_is_not_deployed_as_it_is_written_is_refused(
    headrace: Headrace, lined: FakeSageMaker, aws: FakeAws, tmp_path: Path,
    written: str, data_set: str, wanted: str, deployed: str,
) -> None:  # fmt: skip
    """Another line's pipeline would train it. A user who names the line accepts the stack as it is."""
    (tmp_path / "environments.toml").write_text(f"[local]\n{written}\n")
    aws.objects[f"data-bucket/datasets/{data_set}/a/1.jpg"] = b"x"
    result = headrace("run", "--again", data_set)
    assert result.status == 2
    assert (
        f"gives the data set {data_set} to the model line {wanted}, and the deployed stack to {deployed}" in result.err
    )
    assert f"hint: headrace deploy   # or --line {deployed}, to take the stack as it is" in result.err
    assert lined.sent == []
    result = headrace("--line", deployed, "run", "--again", data_set)
    assert result.status == 0, result.err


def test_another_run_has_the_parameters_of_its_lines_pipeline(
    headrace: Headrace, lined: FakeSageMaker, aws: FakeAws
) -> None:
    asked: list[str] = []
    described = aws.answers["DescribePipeline"]

    def describe(request: dict[str, Any]) -> Any:
        asked.append(request["PipelineName"])
        return described(request)

    aws.answers["DescribePipeline"] = describe
    aws.objects["data-bucket/datasets/pets-2/a/1.jpg"] = b"x"
    lined.definition = {"Parameters": [{"Name": "Epochs", "Type": "Integer", "DefaultValue": 3}]}
    result = headrace("run", "--set", "Epochs=2", "pets-2")
    assert result.status == 0, result.err
    assert asked == [f"{PIPELINE}-pets"]
    assert "headrace --line pets watch --after" in result.err


def test_status_shows_every_line(headrace: Headrace, lined: FakeSageMaker) -> None:
    register(lined, "pets", 1, "Approved")
    serve(lined, "pets")
    result = headrace("status")
    assert result.status == 0, result.err
    (pets,) = [line for line in result.out.splitlines() if line.startswith("line pets")]
    assert "data sets pets*, animals.zip; 1 version: 1 Approved; endpoint headrace-local-pets InService" in pets
    (default,) = [line for line in result.out.splitlines() if line.startswith("line default")]
    assert "all that no other line takes; no version yet" in default
    assert headrace("status", "--json").data["lines"]["birds"]["data_sets"] == ["birds*"]
    assert "line pets" not in headrace("--line", "birds", "status").out


def _class_folders(folder: Path) -> Path:
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(3):
            (folder / label / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + label.encode() + bytes([number]))
    return folder


def test_an_upload_is_checked_with_the_limit_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(
        "[dev.pipeline]\nmax_skipped_share = 0.2\n"
        "[dev.lines.pets.pipeline]\nmax_skipped_share = 0.5\n"
        "[dev.lines.birds]\n"
    )
    target = read_target("dev")
    assert [target.skipped_share_of(line) for line in (None, "default", "birds")] == [0.2, 0.2, 0.2]
    assert target.skipped_share_of("pets") == 0.5


def test_the_name_of_a_data_set_is_known_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    (tmp_path / "a.tar.gz").touch()
    assert name_of(tmp_path / "pets", None) == "pets"
    assert name_of(tmp_path / "pets", "cats") == "cats"
    assert name_of(tmp_path / "a.tar.gz", "cats") == name_of(tmp_path / "a.tar.gz", "cats.tar.gz") == "cats.tar.gz"
