"""Your own model: the better of two variants is registered, and a change of the code runs only the steps it affects."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from deployed_app import ROOT, Deployed, Images, deployment, project_with
from suite import PROJECT

from headrace.client.executions import Execution, list_steps, read_execution, wait_for_execution
from headrace.client.runs import read_run
from headrace.commands import runs, upload
from headrace.terminal.output import Output
from infra.training.code_archive import code_files
from source_code.archive import File, pack

pytestmark = pytest.mark.timeout(900)

# The one that learns hardly anything comes first: of equals it would win.
VARIANTS = """
[[local.pipeline.variants]]
name = "weak"
learning_rate = 0.000001
epochs = 1
[[local.pipeline.variants]]
name = "strong"
seed = 1
"""
TRAININGS = ("TrainWeak", "TrainStrong")
JOBS = ("Preprocess", *TRAININGS, "Evaluate")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    project = project_with(tmp_path_factory.mktemp("project"), capacity='"spot"', accuracy_threshold="0.3")
    with (project / "environments.toml").open("a") as file:
        file.write(VARIANTS)
    with deployment(tmp_path_factory.mktemp("own-code") / "state", project=project) as found:
        yield found


@pytest.fixture(scope="module")
def first(app: Deployed, images: Images, tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """A run of the code that was deployed, on 400 images."""
    few, began = tmp_path_factory.mktemp("few") / "digits", datetime.now(UTC)
    for label in sorted(images.seen.iterdir()):
        (few / label.name).mkdir(parents=True)
        for file in sorted(label.iterdir())[:40]:
            shutil.copy(file, few / label.name)
    upload.upload(app.environment, Output(), path=few, name="digits", delete=False)
    return finished(app, began)


def finished(app: Deployed, began: datetime) -> Execution:
    execution = wait_for_execution(app.environment, after=began, seconds=120, interval=0.3)
    deadline = time.monotonic() + 400
    while execution.going_on:
        assert time.monotonic() < deadline
        time.sleep(0.5)
        execution = read_execution(app.environment, execution.arn)
    return execution


def run_again(app: Deployed) -> Execution:
    began = datetime.now(UTC)
    runs.run_again(app.environment, Output(), data_set="digits", again=True)
    return finished(app, began)


def put_code(app: Deployed, **changed: str) -> None:
    """The project's code with some files changed, as the role that may write code/."""
    code = code_files(PROJECT / "training", ROOT / "data_sets")
    code |= {f"{name}.py": File(text.encode()) for name, text in changed.items()}
    environment = app.environment
    found = environment.client("cloudformation").describe_stacks(StackName=environment.stack_name)["Stacks"][0]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}
    keys = environment.client("sts").assume_role(RoleArn=outputs["MaintainerRoleArn"], RoleSessionName="test")
    keys, running = keys["Credentials"], environment.running
    assert running is not None
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], environment.region)
    s3 = session.client("s3", endpoint_url=running.endpoint, verify=str(running.certificate))
    s3.put_object(Bucket=environment.stack.data_bucket, Key="code/source.tar.gz", Body=pack(code))


def jobs(app: Deployed, execution: Execution) -> dict[str, str | None]:
    """The run from whose cache each job's result was taken; None for a job that ran."""
    steps = list_steps(app.environment, execution)
    assert execution.status == "Succeeded", [(step.name, step.reason) for step in steps]
    return {step.name: step.cached_from for step in steps if step.name in JOBS}


def newest_model(app: Deployed) -> dict[str, Any]:
    sagemaker, group = app.environment.client("sagemaker"), app.environment.stack.model_package_group
    (newest, *_) = sagemaker.list_model_packages(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"]
    described: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=newest["ModelPackageArn"])
    return described


def code_of(name: str) -> str:
    return (PROJECT / "training" / f"{name}.py").read_text("utf-8")


def test_two_variants_are_trained_beside_each_other_and_the_better_is_registered(
    app: Deployed, first: Execution
) -> None:
    assert jobs(app, first) == dict.fromkeys(JOBS)
    run = read_run(app.environment, first)
    assert run.evaluation is not None
    assert run.evaluation.winner == "strong"
    assert run.evaluation.candidates.keys() == {"weak", "strong"}
    found = newest_model(app)["CustomerMetadataProperties"]
    assert found["Winner"] == "strong"
    assert {"TrainWeakJob", "TrainStrongJob"} < found.keys()
    steps = {step.name: step for step in list_steps(app.environment, first)}
    (weak, strong) = (steps[name] for name in TRAININGS)
    assert weak.started is not None
    assert strong.started is not None
    assert weak.ended is not None
    assert strong.started < weak.ended
    assert {cost.step for cost in run.costs} >= {*TRAININGS}


def test_a_change_of_the_training_script_alone_takes_preprocessing_from_the_cache(
    app: Deployed, first: Execution
) -> None:
    before = newest_model(app)["CustomerMetadataProperties"]
    put_code(app, train=code_of("train") + "\nCHANGED = True\n")
    found = jobs(app, run_again(app))
    assert [found[name] for name in ("Preprocess", *TRAININGS)] == [first.id, None, None]
    after = newest_model(app)["CustomerMetadataProperties"]
    assert (after["TrainCode"] != before["TrainCode"], after["CodeHash"] != before["CodeHash"]) == (True, True)


@pytest.mark.builds_on("test_a_change_of_the_training_script_alone_takes_preprocessing_from_the_cache")
def test_a_change_of_a_comment_takes_every_job_from_the_cache_and_says_what_ran(app: Deployed) -> None:
    """The whole code has another hash, and the training's address is the one under which it ran."""
    before = newest_model(app)["CustomerMetadataProperties"]
    commented = "# A comment.\n" + code_of("train") + "\nCHANGED = True  # and another\n"
    put_code(app, train=commented, preprocess=code_of("preprocess") + "# the end\n")
    assert None not in jobs(app, run_again(app)).values()
    after = newest_model(app)["CustomerMetadataProperties"]
    assert (after["TrainCode"] == before["TrainCode"], after["CodeHash"] != before["CodeHash"]) == (True, True)
    key = f"code/{after['TrainCode']}/source.tar.gz"
    kept = app.environment.client("s3").head_object(Bucket=app.environment.stack.data_bucket, Key=key)
    assert kept["Metadata"] == {"source": before["CodeHash"]}
