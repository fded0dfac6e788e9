"""What `watch` and `logs --follow` print during a run, and the reason when it fails."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from scripted_aws import FakeAws
from scripted_cloud import Result
from scripted_sagemaker import ARN, FakeSageMaker

Headrace = Callable[..., Result]


def test_a_reasons_own_hint_and_exit_code_stand_apart(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    arn = sagemaker.add_run("bad2", "Failed")
    reason = "AlgorithmError: the data set has one class only: pets\nhint: a classifier needs two, exit code: 3"
    job = {"ProcessingJob": {"Arn": f"{ARN}:processing-job/pipelines-bad2-Preprocess"}}
    sagemaker.add_step(arn, "Preprocess", "Failed", FailureReason=reason, Metadata=job)
    sagemaker.log["pipelines-bad2-Preprocess/algo-1-1"] = ["looking", "the data set has one class only: pets"]
    said = headrace("watch", "bad2").err
    assert (
        "error: step Preprocess of run display-bad2 failed: the data set has one class only: pets\nexit code: 3\n"
        "its own hint: a classifier needs two\n"
    ) in said
    assert said.count("one class only") == 1


def test_a_process_that_was_killed_is_said_to_have_lacked_memory(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    arn = sagemaker.add_run("killed", "Failed")
    sagemaker.add_step(arn, "Train", "Failed", FailureReason="AlgorithmError: , exit code: 137")
    said = headrace("watch", "killed").err
    assert "was killed (SIGKILL), which is what happens when an instance runs out of memory\nexit code: 137" in said
    assert "its own hint: take an instance type with more memory" in said


@pytest.mark.parametrize(
    ("job", "words", "hint"),
    [
        (
            {"SecondaryStatus": "MaxRuntimeExceeded", "TrainingTimeInSeconds": 61,
             "StoppingCondition": {"MaxRuntimeInSeconds": 60}},
            "the job was stopped after 1 min 01 s: max_run_seconds under [local.pipeline] is 60 s (1 min 00 s) "
            "(MaxRuntimeExceeded)",
            "raise max_run_seconds under [local.pipeline] in environments.toml",
        ),
        (
            {"SecondaryStatus": "MaxWaitTimeExceeded", "TrainingTimeInSeconds": 10,
             "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}},
            "max_run_seconds + spot_wait_seconds under [local.pipeline] is 120 s (2 min 00 s), the time for waiting "
            "included (MaxWaitTimeExceeded)",
            "raise max_run_seconds + spot_wait_seconds under [local.pipeline]",
        ),
    ],
)  # fmt: skip
def test_a_time_limit_is_named_as_the_user_has_set_it(
    headrace: Headrace, sagemaker: FakeSageMaker, job: dict[str, Any], words: str, hint: str
) -> None:
    arn = sagemaker.add_run("slow", "Failed")
    name = "pipelines-slow-Train"
    sagemaker.jobs[name] = job | {"TrainingJobStatus": "Stopped"}
    metadata = {"TrainingJob": {"Arn": f"{ARN}:training-job/{name}"}}
    sagemaker.add_step(arn, "Train", "Failed", FailureReason="Training job ended as Stopped.", Metadata=metadata)
    said = headrace("watch", "slow").err
    assert words in said
    assert hint in said


def test_watch_shows_epochs_metric_and_time_left(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    arn = sagemaker.add_run("new", "Executing", minutes_ago=1)
    job = "pipelines-new-Train"
    sagemaker.jobs[job] = {
        "HyperParameters": {"epochs": "10"},
        "AlgorithmSpecification": {
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": name, "Regex": f"{name}=([0-9.]+)"} for name in ("validation:loss", "validation:accuracy")
            ],
        },
    }
    metadata = {"TrainingJob": {"Arn": f"{ARN}:training-job/{job}"}}
    sagemaker.add_step(arn, "Train", "Executing", started=60, Metadata=metadata)
    line = "epoch=%d train:loss=0.5 validation:loss=0.25 validation:accuracy=0.9%d"
    sagemaker.log[f"{job}/algo-1-1"] = [line % (epoch, epoch) for epoch in (1, 2, 3)]
    sagemaker.seconds_between_lines = 20.0

    def end() -> None:
        while len(aws.requests("ListPipelineExecutionSteps")) < 3:
            time.sleep(0.01)
        sagemaker.steps[arn][0] |= {"StepStatus": "Succeeded", "EndTime": sagemaker.now}
        sagemaker.executions[-1]["PipelineExecutionStatus"] = "Succeeded"

    player = threading.Thread(target=end)
    player.start()
    result = headrace("watch", "--interval", "0.05")
    player.join()
    assert re.search(
        r"Train  Executing  epoch 3 of 10, validation:accuracy 0\.93, about (2 min [12]\d s) left", result.err
    )


def test_logs_are_followed_until_the_run_ends_and_each_line_is_shown_once(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.commands.logs.INTERVAL", 0.05)
    arn = sagemaker.add_run("new", "Executing", minutes_ago=1)
    first, second = (f"pipelines-new-{name}" for name in ("Preprocess", "Train"))
    job = {"ProcessingJob": {"Arn": f"{ARN}:processing-job/{first}"}}
    sagemaker.add_step(arn, "Preprocess", "Executing", started=60, Metadata=job)
    sagemaker.log[f"{first}/algo-1-1"] = ["one", "two", "three"]

    def play() -> None:
        def looked(times: int) -> None:
            while len(aws.requests("FilterLogEvents")) < times:
                time.sleep(0.01)

        looked(2)
        sagemaker.log[f"{first}/algo-1-1"].append("four")
        looked(4)
        sagemaker.steps[arn][0] |= {"StepStatus": "Succeeded", "EndTime": sagemaker.now}
        training = {"TrainingJob": {"Arn": f"{ARN}:training-job/{second}"}}
        sagemaker.add_step(arn, "Train", "Executing", started=1, Metadata=training)
        sagemaker.log[f"{second}/algo-1-1"] = ["epoch=1"]
        looked(8)
        sagemaker.log[f"{second}/algo-1-1"].append("last words")
        sagemaker.steps[arn][1] |= {"StepStatus": "Failed", "EndTime": sagemaker.now}
        sagemaker.executions[-1]["PipelineExecutionStatus"] = "Failed"

    player = threading.Thread(target=play)
    player.start()
    result = headrace("logs", "--follow", "--tail", "2")
    player.join()
    assert result.status == 0, result.err
    shown = ["Preprocess: two", "Preprocess: three", "Preprocess: four", "Train: epoch=1", "Train: last words"]
    assert result.out.splitlines() == shown
    assert "the run display-new is Failed" in result.err
    one = headrace("logs", "--follow", "display-new", "Train")
    assert one.out.splitlines() == ["epoch=1", "last words"]
    assert [json.loads(line)["message"] for line in headrace("logs", "-f", "--json", "new").out.splitlines()][-1:] == [
        "last words"
    ]
