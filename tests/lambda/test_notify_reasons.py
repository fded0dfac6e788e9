"""Reasons in notices: once, in the user's own words, with the hint and the exit code apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from notice_world import MOMENT, NoticeWorld


@pytest.fixture
def world() -> NoticeWorld:
    return NoticeWorld()


def test_a_reason_is_told_once_and_its_hint_and_exit_code_apart(world: NoticeWorld) -> None:
    world.fail_step("Train", "AlgorithmError: the loss is not finite\nhint: lower learning_rate, exit code: 3", lines=2)
    (stream,) = world.cloud.streams.values()
    stream.append("Traceback: the loss is not finite")
    text, data = world.told(world.ended())
    assert "step Train: the loss is not finite\nexit code: 3\nhint: lower learning_rate\n" in text
    assert text.count("the loss is not finite") == 1
    (step,) = data["steps"]
    assert (step["reason"], step["hint"], step["exit_code"]) == ("the loss is not finite", "lower learning_rate", 3)


def test_a_killed_process_is_told_to_have_lacked_memory(world: NoticeWorld) -> None:
    world.fail_step("Train", "AlgorithmError: See job logs for more information, exit code: 137")
    text, _ = world.told(world.ended())
    assert "step Train: the process was killed (SIGKILL), which is what happens when an instance runs out" in text


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            {"SecondaryStatus": "MaxRuntimeExceeded", "TrainingTimeInSeconds": 61},
            "the job was stopped after 61 s: max_run_seconds under [test.pipeline] is 60 s (MaxRuntimeExceeded)",
        ),
        (
            {"SecondaryStatus": "MaxWaitTimeExceeded", "TrainingEndTime": MOMENT + timedelta(seconds=91),
             "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}},
            "the job was stopped after 91 s: max_run_seconds + spot_wait_seconds under [test.pipeline] is 90 s "
            "(MaxWaitTimeExceeded)",
        ),
    ],
)  # fmt: skip
def test_a_time_limit_is_told_by_the_settings_name(world: NoticeWorld, limit: dict[str, Any], words: str) -> None:
    world.fail_step("Train", "Training job ended as Stopped.")
    world.cloud.training_job = limit | {"TrainingJobStatus": "Stopped"}
    text, _ = world.told(world.ended())
    assert f"step Train: {words}\nhint: raise max_run_seconds" in text


def test_a_function_that_failed_is_told_with_the_command_that_shows_its_log(world: NoticeWorld) -> None:
    arn = "arn:aws:lambda:eu-central-1:111122223333:function:find-champion"
    world.cloud.steps.append(
        {
            "StepName": "FindChampion", "StepStatus": "Failed", "StartTime": MOMENT,
            "FailureReason": "ClientError: The function find-champion failed: no registry",
            "Metadata": {"Lambda": {"Arn": arn}},
        }
    )  # fmt: skip
    text, data = world.told(world.ended())
    assert "step FindChampion: The function find-champion failed: no registry\n" in text
    assert "headrace --env test logs birds-0123abcd FindChampion   # the whole log" in text
    assert data["steps"][0]["job"] == "find-champion"


def test_a_quota_is_named_with_the_link_to_ask_for_more(world: NoticeWorld) -> None:
    """No job was created, so the step has no metadata."""
    said = (
        "ClientError: Failed to invoke sagemaker:CreateTrainingJob. Error Details: The account-level service limit "
        "'ml.g4dn.xlarge for spot training job usage' is 0 Instances, with current utilization of 0 Instances and a "
        "request delta of 1 Instances. Please use AWS Service Quotas to request an increase for this quota. "
        "(ResourceLimitExceeded)"
    )
    world.cloud.steps.append(
        {"StepName": "TrainSpot", "StepStatus": "Failed", "StartTime": MOMENT, "FailureReason": said, "Metadata": {}}
    )
    text, data = world.told(world.ended())
    assert (
        "step TrainSpot: the account's quota 'ml.g4dn.xlarge for spot training job usage' in eu-central-1 is 0 "
        "instances: 0 are in use, and 1 more are asked for (ResourceLimitExceeded)\n"
        "hint: ask AWS for more: https://eu-central-1.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"
    ) in text
    assert "under [test.pipeline]" in text
    assert "headrace --env test doctor   # every quota that this environment needs" in text
    assert data["steps"][0]["quota"] == "ml.g4dn.xlarge for spot training job usage"
