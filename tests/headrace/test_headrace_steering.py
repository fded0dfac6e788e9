"""Stopping a run, and the commands that read: evaluation, compare, notices, completion, --version."""

from __future__ import annotations

import csv
import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from scripted_aws import FakeAws
from scripted_cloud import FakeCloud, Result, follow
from scripted_sagemaker import ARN, FakeSageMaker

from headrace.cli.main import build
from headrace.client.environment import Environment
from headrace.commands.command import HELP
from headrace.commands.completion import script
from headrace.commands.table import COMMANDS

Headrace = Callable[..., Result]
ROOT = Path(__file__).parents[2]


def executing(sagemaker: FakeSageMaker, name: str = "run1") -> str:
    arn = sagemaker.add_run(name, "Executing")
    for step, status in (("Preprocess", "Succeeded"), ("TrainSpot", "Executing")):
        kind = "TrainingJob" if step == "TrainSpot" else "ProcessingJob"
        resource = "training-job" if step == "TrainSpot" else "processing-job"
        job = {kind: {"Arn": f"{ARN}:{resource}/{name}-{step}"}}
        sagemaker.add_step(arn, step, status, Metadata=job)
    sagemaker.jobs[f"{name}-TrainSpot"] = {
        "EnableManagedSpotTraining": True,
        "TrainingTimeInSeconds": 60,
        "BillableTimeInSeconds": 20,
    }
    return arn


def evaluated(
    sagemaker: FakeSageMaker, aws: FakeAws, name: str, confusion: dict[str, dict[str, int]], **more: Any
) -> str:
    arn = sagemaker.add_run(name, "Succeeded", minutes_ago=more.pop("minutes_ago", 5))
    job = f"{name}-Evaluate"
    sagemaker.add_step(arn, "Evaluate", "Succeeded", Metadata={"ProcessingJob": {"Arn": f"{ARN}:processing-job/{job}"}})
    place = {"S3Uri": f"s3://data-bucket/{name}", "LocalPath": "/e", "S3UploadMode": "EndOfJob"}
    sagemaker.jobs[job] = {"ProcessingOutputConfig": {"Outputs": [{"OutputName": "evaluation", "S3Output": place}]}}
    hits, images = (
        sum(row[actual] for actual, row in confusion.items()),
        sum(map(sum, map(dict.values, confusion.values()))),
    )
    report = {
        "multiclass_classification_metrics": {"accuracy": {"value": hits / images}, "confusion_matrix": confusion},
        "winner": {"name": "spot"},
        "candidates": {"spot": {"accuracy": hits / images, "loss": 0.25}},
        "champion": {"present": True, "accuracy": 0.5},
        "improvement": hits / images - 0.5,
        "test": {"images": images, "data_set": "birds", "fingerprint": "f00"},
    } | more
    aws.objects[f"data-bucket/{name}/evaluation.json"] = json.dumps(report).encode()
    return arn


def many_classes(count: int) -> dict[str, dict[str, int]]:
    names = [f"species-number-{number:03}" for number in range(count)]
    matrix = {actual: {name: 10 if name == actual else 0 for name in names} for actual in names}
    matrix[names[7]] |= {names[7]: 4, names[9]: 6}
    return matrix


# stop


def test_the_run_that_is_going_on_is_stopped_with_what_was_billed(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_run("old1", "Succeeded", minutes_ago=60)
    executing(sagemaker)
    result = headrace("stop", "--interval", "0.05")
    assert result.status == 0, result.err
    assert "stopping run display-run1 of headrace-local during TrainSpot" in result.err
    assert result.out.splitlines()[1].startswith("TrainSpot Stopped  after ")
    assert "billed 20 s of 1 min 00 s, spot saves 67%, $0.0020" in result.out.splitlines()[1]
    assert result.out.splitlines()[-1] == "run display-run1 Stopped: billed 50 s, on AWS it would have cost $0.0028"
    assert follow(headrace, "headrace runs").status == 0


def test_stop_as_json_names_the_steps_that_were_stopped(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    executing(sagemaker)
    data = headrace("stop", "run1", "--json").data
    assert (data["status"], data["stopped_steps"]) == ("Stopped", ["TrainSpot"])


def test_of_several_runs_none_is_stopped_without_a_name(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    executing(sagemaker, "run1")
    executing(sagemaker, "run2")
    result = headrace("stop")
    assert result.status == 2
    assert "2 runs are going on: display-run1, display-run2" in result.err
    assert aws.requests("StopPipelineExecution") == []
    assert follow(headrace, result.hint).status == 0


@pytest.mark.parametrize("arguments", [["stop"], ["stop", "old1"]])
def test_a_run_that_has_ended_is_not_stopped(
    headrace: Headrace, sagemaker: FakeSageMaker, arguments: list[str]
) -> None:
    sagemaker.add_run("old1", "Succeeded", minutes_ago=60)
    result = headrace(*arguments)
    assert result.status == 1
    assert "nothing to stop" in result.err
    assert follow(headrace, result.hint).status == 0


# evaluation


def test_an_evaluation_shows_each_class_and_the_confusion_matrix(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws, tmp_path: Path
) -> None:
    evaluated(sagemaker, aws, "run1", {"cat": {"cat": 8, "dog": 2}, "dog": {"cat": 0, "dog": 10}})
    result = headrace("evaluation")
    assert result.status == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    assert "accuracy        0.9000 on 20 test images" in result.out
    assert "macro F1        0.8990" in result.out
    assert "accuracy 0.5000, improvement +0.4000" in result.out
    assert ["cat", "10", "1.0000", "0.8000", "0.8889"] in lines
    assert ["dog", "10", "0.8333", "1.0000", "0.9091"] in lines
    assert ["cat", "8", "2"] in lines
    assert ["dog", ".", "10"] in lines
    assert ["cat", "dog", "2", "20%"] in lines
    assert follow(headrace, result.next).status == 0
    assert list(csv.reader(Path("confusion.csv").read_text().splitlines())) == [
        ["actual \\ predicted", "cat", "dog"], ["cat", "8", "2"], ["dog", "0", "10"],
    ]  # fmt: skip
    assert headrace("evaluation", "run1", "--json").data["subject"] == "run display-run1"


def test_of_two_hundred_classes_the_worst_are_shown(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    evaluated(sagemaker, aws, "run1", many_classes(200))
    short = headrace("evaluation", "run1")
    assert len(short.out.splitlines()) < 40
    assert "the 20 worst of 200 classes are shown; --all shows all" in short.err
    worst = short.out.splitlines()[7].split()
    assert worst[0] == "species-number-007"
    assert ["species-number-007", "species-number-009", "6", "60%"] in [line.split() for line in short.out.splitlines()]
    whole = headrace("evaluation", "run1", "--all")
    assert len(whole.out.splitlines()) > 400


def test_class_names_that_look_equal_when_they_are_shortened_are_numbered(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    evaluated(sagemaker, aws, "run1", many_classes(12))
    assert "8:species-num…" in headrace("evaluation", "run1").out


def test_the_evaluation_of_a_version_is_that_of_its_report(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    evaluated(sagemaker, aws, "run2", {"a": {"a": 1, "b": 0}, "b": {"a": 1, "b": 0}})
    statistics = {"ContentType": "application/json", "S3Uri": "s3://data-bucket/run2/evaluation.json"}
    sagemaker.add_package(2, "Approved", ModelMetrics={"ModelQuality": {"Statistics": statistics}})
    for name in ("2", "latest"):
        result = headrace("evaluation", name)
        assert "version 2" in result.out
        assert "accuracy        0.5000" in result.out


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is gone"), (b"no json", "is not JSON"), (b"[]", "not a JSON object")]
)
def test_an_evaluation_that_cannot_be_read_says_why(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws, content: bytes | None, said: str
) -> None:
    evaluated(sagemaker, aws, "run1", {"a": {"a": 1}})
    aws.objects.clear()
    if content is not None:
        aws.objects["data-bucket/run1/evaluation.json"] = content
    result = headrace("evaluation", "run1")
    assert result.status == 1
    assert said in result.err
    assert follow(headrace, result.hint).status == 0


def test_a_report_without_a_confusion_matrix_is_shown_as_far_as_it_goes(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    evaluated(sagemaker, aws, "run1", {"a": {"a": 1}})
    aws.objects["data-bucket/run1/evaluation.json"] = b'{"winner": "mine", "champion": null}'
    result = headrace("evaluation", "run1")
    assert result.status == 0
    assert "no confusion matrix" in result.err


# compare


def test_a_comparison_shows_differences_only_and_marks_the_best(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    sagemaker.definition = {"Parameters": [{"Name": "Epochs", "Type": "Integer", "DefaultValue": 12}], "Steps": []}
    evaluated(sagemaker, aws, "run1", {"cat": {"cat": 8, "dog": 2}, "dog": {"cat": 0, "dog": 10}})
    evaluated(sagemaker, aws, "run2", {"cat": {"cat": 9, "dog": 1}, "dog": {"cat": 0, "dog": 10}}, minutes_ago=4)
    result = headrace("compare", "run1", "run2")
    assert result.status == 0, result.err
    rows = {line.split("  ")[0]: line for line in result.out.splitlines()}
    assert rows["accuracy"].split() == ["accuracy", "0.9000", "0.9500", "*"]
    assert rows["recall of cat"].split()[3:] == ["0.8000", "0.9000", "*"]
    assert "recall of dog" not in rows
    assert "Epochs" not in rows
    everything = headrace("compare", "run1", "run2", "--all").out
    assert "Epochs" in everything
    assert "recall of dog" in everything
    best = {row["name"]: row["best"] for row in headrace("compare", "run1", "run2", "--json").data}
    assert best["accuracy"] == ["run display-run2"]


def test_accuracies_on_different_test_sets_are_not_ranked(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    evaluated(sagemaker, aws, "run1", {"cat": {"cat": 8, "dog": 2}, "dog": {"cat": 0, "dog": 10}})
    other = {"images": 1, "data_set": "birds", "fingerprint": "other"}
    evaluated(sagemaker, aws, "run2", {"cat": {"cat": 1, "dog": 0}, "dog": {"cat": 0, "dog": 1}}, test=other)
    result = headrace("compare", "run1", "run2")
    assert "the accuracies are of different test sets" in result.err
    assert "*" not in result.out


def test_a_version_is_compared_with_a_run(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    evaluated(sagemaker, aws, "run1", {"cat": {"cat": 8, "dog": 2}, "dog": {"cat": 0, "dog": 10}})
    evaluated(sagemaker, aws, "run2", {"cat": {"cat": 9, "dog": 1}, "dog": {"cat": 0, "dog": 10}})
    statistics = {"ContentType": "application/json", "S3Uri": "s3://data-bucket/run2/evaluation.json"}
    sagemaker.add_package(2, "Approved", ModelMetrics={"ModelQuality": {"Statistics": statistics}})
    result = headrace("compare", "2", "run1")
    assert result.out.splitlines()[0].split() == ["version", "2", "run", "display-run1"]
    assert "0.9500 *" in result.out


def test_one_name_is_not_a_comparison(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    evaluated(sagemaker, aws, "run1", {"a": {"a": 1}})
    evaluated(sagemaker, aws, "run2", {"a": {"a": 1}})
    result = headrace("compare", "run1")
    assert result.status == 2
    assert follow(headrace, result.hint, RUN_OR_VERSION="run2").status == 0


# notices


def test_notices_are_listed_newest_first_with_their_text(
    headrace: Headrace, storage: tuple[FakeCloud, Environment]
) -> None:
    cloud, environment = storage
    assert "no notice was sent" in headrace("notices", on=cloud).err
    s3, bucket = environment.client("s3"), environment.stack.data_bucket
    for number in range(3):
        record = {"kind": "deployed", "headline": f"version {number} is served", "sns_message": "m"}
        record |= {"text": f"version {number} is served\n\nwhat to do:\n  ask it"} if number else {}
        s3.put_object(Bucket=bucket, Key=f"notices/{9 - number}.json", Body=json.dumps(record).encode())
    result = headrace("notices", "--limit", "2", on=cloud)
    assert result.status == 0, result.err
    served = [line for line in result.out.splitlines() if "is served" in line]
    assert served[0].strip() == "version 2 is served"
    assert "version 0" not in result.out
    assert "the newest 2 of 3 notices: headrace notices --limit 0 shows all" in result.err
    assert "nobody is subscribed" in result.err
    every = headrace("notices", "--limit", "0", "--json", on=cloud).data
    assert sorted(notice["headline"] for notice in every) == [f"version {number} is served" for number in range(3)]


# completion and --version


@pytest.mark.process
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["headrace", "eval"], {"evaluation"}),
        (["headrace", "--env", "prod", "roll"], {"rollback"}),
        (["headrace", "--vers"], {"--version"}),
        (["headrace", "rollback", "--d"], {"--dry-run"}),
        (["headrace", "--json", "stop", "--"], {"--help", "--wait", "--no-wait", "--json"}),
        (["headrace", "projects", "cr"], {"create"}),
        (["headrace", "projects", "create", "--desc"], {"--description"}),
        (["headrace", "completion", ""], {"bash", "zsh", "fish", "--help", "-h", "--json"}),
        (["headrace", "upload", "bir"], {"birds"}),
        (["headrace", "evaluation", "--csv", "bir"], {"birds"}),
        (["headrace", "runs", "--limit", ""], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bash_completes(tmp_path: Path, typed: list[str], offered: set[str]) -> None:
    """In a real bash, which calls the function as it does when a user presses Tab."""
    (tmp_path / "birds").mkdir()
    (tmp_path / "completion.bash").write_text(script(click.Context(build(), **HELP), "bash"))
    lines = [
        "set -eu",
        "source completion.bash",
        f"COMP_WORDS=({' '.join(repr(word) for word in typed)})",
        f"COMP_CWORD={len(typed) - 1}",
        "_headrace",
        'for word in "${COMPREPLY[@]}"; do echo "$word"; done',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_completed(headrace: Headrace, shell: str) -> None:
    result = headrace("completion", shell)
    assert result.status == 0
    for name in [*COMMANDS, "dry-run", "wait-for-start"]:
        assert name in result.out


def test_the_version_is_that_of_the_project(headrace: Headrace) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert headrace("--version").out == f"headrace {project['version']}\n"
