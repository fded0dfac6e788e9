"""Two model lines beside the default one, through the real app with TLS and IAM on.

A test names those that it builds on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deployed_app import Deployed, Images, deployment, project_with

from headrace.cli.main import main
from headrace.client import endpoint, lines
from headrace.client import model_packages as registry
from headrace.client.environment import DEFAULT_LINE, Environment
from headrace.client.executions import Execution, list_executions, list_steps, read_execution, read_parameters
from headrace.commands import cdk, upload
from headrace.terminal.output import Output

pytestmark = pytest.mark.timeout(600)

LOW, HIGH = ("0", "1", "2"), ("7", "8", "9")
TABLES = """
[local.lines.low]
data_sets = ["low*"]

[local.lines.high]
data_sets = ["high.zip"]
endpoint_instance_type = "ml.c5.xlarge"

[local.lines.high.pipeline]
image_size = 24
"""


@dataclass(frozen=True)
class Lined:
    app: Deployed
    project: Path

    @property
    def environment(self) -> Environment:
        return self.app.reopened().environment

    def line(self, name: str) -> Environment:
        return self.environment.in_line(name)


@pytest.fixture(scope="module")
def lined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lined]:
    project = project_with(tmp_path_factory.mktemp("project"), capacity='"spot"', accuracy_threshold="0.5")
    with (project / "environments.toml").open("a") as file:
        file.write(TABLES)
    with deployment(tmp_path_factory.mktemp("lined") / "state", project=project) as app:
        yield Lined(app, project)


@pytest.fixture(scope="module")
def runs(lined: Lined, images: Images, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Execution]:
    """The runs that two uploads at once have started, as they have ended, by their data sets."""
    folder = tmp_path_factory.mktemp("data")
    for name, classes in (("low", LOW), ("high", HIGH)):
        for label in classes:
            shutil.copytree(images.seen / label, folder / name / label)
    shutil.make_archive(str(folder / "high"), "zip", folder / "high")
    for path in (folder / "low", folder / "high.zip"):
        upload.upload(lined.environment, Output(), path=path, name=None, delete=False)
    return ended(lined, 2)


def ended(lined: Lined, count: int, seconds: float = 240) -> dict[str, Execution]:
    environment, deadline = lined.environment, time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = list(list_executions(environment))
        if len(found) == count and not any(execution.going_on for execution in found):
            return {
                read_parameters(environment, run.arn)["DataSet"]: read_execution(environment, run.arn) for run in found
            }
        time.sleep(0.5)
    raise AssertionError(f"{[(run.name, run.status) for run in list_executions(environment)]}")


def test_two_uploads_at_once_are_run_by_the_pipelines_of_their_lines(lined: Lined, runs: dict[str, Execution]) -> None:
    assert {data_set: run.pipeline for data_set, run in runs.items()} == {
        "low": "headrace-local-low",
        "high.zip": "headrace-local-high",
    }
    for run in runs.values():
        assert run.status == "Succeeded", [(step.name, step.reason) for step in list_steps(lined.environment, run)]


@pytest.mark.usefixtures("runs")
def test_each_model_is_registered_in_the_group_of_its_line(lined: Lined) -> None:
    for line, data_set in (("low", "low"), ("high", "high.zip"), (DEFAULT_LINE, None)):
        found = [(model.version, model.data_set) for model in registry.list_models(lined.line(line))]
        assert found == ([] if data_set is None else [(1, data_set)])


@pytest.mark.usefixtures("runs")
def test_a_version_number_that_two_lines_have_needs_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["approve", "1"]) == 2
    said = capsys.readouterr().err
    assert "which line is meant? high, low have a version 1" in said
    assert "hint: headrace --line high approve 1" in said


@pytest.mark.usefixtures("runs")
def test_both_are_approved_and_served_by_their_own_endpoints(lined: Lined, images: Images) -> None:
    for line in ("low", "high"):
        assert main(["--line", line, "approve", "1"]) == 0
    for line, classes, kind in (("low", LOW, "ml.m5.large"), ("high", HIGH, "ml.c5.xlarge")):
        environment = lined.line(line)
        served = endpoint.wait_for_endpoint(environment, seconds=90, interval=0.3)
        assert (served.name, served.version) == (f"headrace-local-{line}", 1)
        (variant,) = environment.client("sagemaker").describe_endpoint_config(EndpointConfigName=served.configuration)[
            "ProductionVariants"
        ]
        assert variant["InstanceType"] == kind
        asked = [next(iter(sorted((images.held_out / label).iterdir()))) for label in classes]
        answers = endpoint.ask(environment, asked)
        assert {tuple(sorted(answer.probabilities)) for answer in answers} == {classes}
    assert endpoint.read_endpoint(lined.line(DEFAULT_LINE)) is None


@pytest.mark.usefixtures("runs")
def test_a_data_set_of_no_line_belongs_to_the_default_line(lined: Lined, images: Images) -> None:
    before = {line: endpoint.read_endpoint(lined.line(line)) for line in ("low", "high")}
    upload.upload(lined.environment, Output(), path=images.seen, name="digits", delete=False)
    assert ended(lined, 3)["digits"].pipeline == "headrace-local"
    default = lines.of_data_set(lined.environment, "digits")
    assert [(model.version, model.data_set) for model in registry.list_models(default)] == [(1, "digits")]
    assert main(["--line", "default", "approve", "latest"]) == 0
    assert endpoint.wait_for_endpoint(default, seconds=90, interval=0.3).name == "headrace-local"
    assert before == {line: endpoint.read_endpoint(lined.line(line)) for line in ("low", "high")}


@pytest.mark.usefixtures("runs")
def test_status_runs_and_models_show_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "runs", "models"):
        assert main([command]) == 0
        shown = capsys.readouterr().out
        assert all(name in shown for name in ("default", "low", "high")), command


@pytest.mark.usefixtures("runs")
def test_an_upload_says_its_line_and_one_for_another_line_is_refused(
    images: Images, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--line", "high", "upload", str(images.seen), "--name", "low-2"]) == 2
    assert "the data set low-2 belongs to the line low, not to high" in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
@pytest.mark.builds_on(
    "test_both_are_approved_and_served_by_their_own_endpoints", "test_a_data_set_of_no_line_belongs_to_the_default_line"
)
def test_a_line_that_is_no_longer_declared_goes_a_new_one_comes_and_the_others_stay(lined: Lined) -> None:
    file = lined.project / "environments.toml"
    kept = file.read_text().partition("[local.lines.high]")[0]
    file.write_text(f'{kept}[local.lines.new]\ndata_sets = ["new"]\n')
    before = endpoint.read_endpoint(lined.line("low"))
    cdk.deploy(lined.environment, Output())
    sagemaker = lined.environment.client("sagemaker")
    assert names(sagemaker.list_endpoints()["Endpoints"], "EndpointName") == ["headrace-local", "headrace-local-low"]
    pipelines = names(sagemaker.list_pipelines()["PipelineSummaries"], "PipelineName")
    assert set(pipelines) - {"headrace-local-new"} == {"headrace-local", "headrace-local-low"}  # it is being made
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert names(groups, "ModelPackageGroupName") == ["headrace-local", "headrace-local-low", "headrace-local-new"]
    assert not [item["ModelName"] for item in sagemaker.list_models()["Models"] if "-high-" in item["ModelName"]]
    assert endpoint.read_endpoint(lined.line("low")) == before
    assert lined.environment.line_names == ["default", "low", "new"]


@pytest.mark.usefixtures("runs")
def test_destroy_leaves_nothing(lined: Lined) -> None:
    environment = lined.environment
    bucket, sagemaker = environment.stack.data_bucket, environment.client("sagemaker")
    cdk.destroy(environment, Output())
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert bucket not in [item["Name"] for item in environment.client("s3").list_buckets()["Buckets"]]
    assert environment.find_stack("headrace-local") is None


def names(items: list[dict[str, str]], key: str) -> list[str]:
    return sorted(item[key] for item in items)
