"""Runs: listed, followed to their end, and their logs."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from scripted_aws import FakeAws, Refusal
from scripted_cloud import Result
from scripted_sagemaker import ARN, FakeSageMaker

from headrace.client.environment import Environment
from headrace.client.executions import wait_for_execution
from headrace.errors import NotFound

Headrace = Callable[..., Result]


def succeeded(sagemaker: FakeSageMaker, aws: FakeAws, name: str = "good1", minutes_ago: float = 5) -> str:
    """A run with a spot lane that was billed for a third of its time, a cached one, and an evaluation."""
    arn = sagemaker.add_run(name, "Succeeded", minutes_ago=minutes_ago)
    for number, step in enumerate(("TrainSpot", "TrainOnDemand")):
        job = f"pipelines-{name}-{step}"
        sagemaker.jobs[job] = {
            "EnableManagedSpotTraining": step == "TrainSpot",
            "TrainingTimeInSeconds": 120,
            "BillableTimeInSeconds": 40 if step == "TrainSpot" else 120,
        }
        sagemaker.add_step(
            arn, step, "Succeeded", started=290 - number, took=130,
            Metadata={"TrainingJob": {"Arn": f"{ARN}:training-job/{job}"}},
            CacheHitResult={"SourcePipelineExecutionArn": ""},
        )  # fmt: skip
    sagemaker.add_step(
        arn, "Preprocess", "Succeeded", started=299, took=1,
        Metadata={"ProcessingJob": {"Arn": f"{ARN}:processing-job/old"}},
        CacheHitResult={"SourcePipelineExecutionArn": f"{ARN}:pipeline/headrace-local/execution/before"},
    )  # fmt: skip
    job = f"pipelines-{name}-Evaluate"
    sagemaker.add_step(
        arn, "Evaluate", "Succeeded", started=100, took=40,
        Metadata={"ProcessingJob": {"Arn": f"{ARN}:processing-job/{job}"}},
    )  # fmt: skip
    place = {
        "S3Uri": f"s3://data-bucket/runs/{name}/evaluate/evaluation",
        "LocalPath": "/e",
        "S3UploadMode": "EndOfJob",
    }
    sagemaker.jobs[job] = {"ProcessingOutputConfig": {"Outputs": [{"OutputName": "evaluation", "S3Output": place}]}}
    aws.objects[f"data-bucket/runs/{name}/evaluate/evaluation/evaluation.json"] = json.dumps(
        {"multiclass_classification_metrics": {"accuracy": {"value": 0.9875}}, "winner": {"name": "spot"}}
    ).encode()
    return arn


def failed(sagemaker: FakeSageMaker, name: str = "bad1", minutes_ago: float = 4) -> str:
    arn = sagemaker.add_run(
        name, "Failed", minutes_ago=minutes_ago, reason="Step failure: One or multiple steps failed."
    )
    job = f"pipelines-{name}-TrainSpot"
    sagemaker.add_step(
        arn, "TrainSpot", "Failed", started=200, FailureReason="AlgorithmError: loss is not finite, exit code: 1",
        Metadata={"TrainingJob": {"Arn": f"{ARN}:training-job/{job}"}},
    )  # fmt: skip
    sagemaker.log[f"{job}/algo-1-17"] = [f"epoch={number}" for number in range(40)] + ["loss is not finite"]
    return arn


def test_runs_are_listed_newest_first_with_what_people_ask_of_them(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    succeeded(sagemaker, aws)
    failed(sagemaker)
    result = headrace("runs")
    assert result.status == 0, result.err
    header, newest, oldest = result.out.splitlines()
    assert header.split("  ")[0] == "run"
    assert re.match(r"display-bad1 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(4 min ago\)  .*Failed +birds", newest)
    assert newest.endswith("TrainSpot: loss is not finite")
    assert re.search(r"display-good1 .* 4 min 00 s +Succeeded +birds +0\.9875 +67%", oldest)
    assert "next: headrace logs display-bad1" in result.err


def test_runs_as_json_hold_the_saving_of_each_training_job(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    succeeded(sagemaker, aws)
    for result in (headrace("runs", "--json"), headrace("--json", "runs")):
        (run,) = result.data
        assert (run["id"], run["data_set"], run["accuracy"], run["winner"]) == ("good1", "birds", 0.9875, "spot")
        assert [(job["step"], job["spot"], job["saving_percent"]) for job in run["training"]] == [
            ("TrainSpot", True, 66.7),
            ("TrainOnDemand", False, None),
        ]
        assert [step["name"] for step in run["steps"]] == ["Preprocess", "TrainSpot", "TrainOnDemand", "Evaluate"]
        assert run["steps"][0]["cached_from"] == "before"
        assert result.err == ""


def test_runs_are_not_capped(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    for number in range(57):
        sagemaker.add_run(f"run{number}", "Succeeded", minutes_ago=number)
    assert len(headrace("runs", "--limit", "0", "--json").data) == 57
    few = headrace("runs", "--limit", "3")
    assert [line.split()[0] for line in few.out.splitlines()] == ["run", "display-run0", "display-run1", "display-run2"]
    assert "headrace runs --limit 0" in few.err


def test_a_missing_evaluation_leaves_the_list_whole(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    succeeded(sagemaker, aws)
    aws.objects.clear()
    assert headrace("runs", "--json").data[0]["accuracy"] is None


def test_no_pipeline_yet_means_no_runs_yet(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    def missing(request: object) -> None:
        raise Refusal("ResourceNotFound", "Pipeline 'headrace-local' does not exist.")

    aws.answers["ListPipelineExecutions"] = missing
    assert "there are no runs yet" in headrace("runs").err
    assert headrace("runs", "--json").data == []
    waited = headrace("watch", "--wait-for-start", "0")
    assert waited.status == 1
    assert "no run started within 0 s" in waited.err


@pytest.mark.parametrize("name", ["good1", "display-good1", f"{ARN}:pipeline/headrace-local/execution/good1"])
def test_a_run_is_found_by_id_arn_and_name(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws, name: str
) -> None:
    succeeded(sagemaker, aws)
    for number in range(4):
        sagemaker.add_run(f"newer{number}", "Succeeded", minutes_ago=1)
    result = headrace("watch", name)
    assert result.status == 0, result.err
    assert result.out == (
        "display-good1 Succeeded after 4 min 00 s, accuracy 0.9875 (spot won), spot saved 67% of its training time, "
        "on AWS it would have cost $0.0168\n"
    )
    assert "Preprocess  Succeeded  1 s  cached: the result of run before" in result.err
    assert "TrainSpot  Succeeded  2 min 10 s  billed 40 s of 2 min 00 s, spot saves 67%" in result.err
    assert headrace("watch", "nothing").status == 1


def test_watch_follows_a_run_that_starts_and_ends_meanwhile(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    sagemaker.add_run("old1", "Succeeded", minutes_ago=60)

    def answered(operation: str) -> None:
        """Once it is asked a second time, the first answer has been taken in."""
        while len(aws.requests(operation)) < 2:
            time.sleep(0.01)

    def play() -> None:
        answered("ListPipelineExecutions")
        arn = sagemaker.add_run("new1", "Executing", minutes_ago=-1)
        sagemaker.add_step(arn, "Preprocess", "Executing", started=0)
        answered("ListPipelineExecutionSteps")
        sagemaker.steps[arn][0] |= {"StepStatus": "Succeeded", "EndTime": sagemaker.now + timedelta(seconds=7)}
        sagemaker.executions[-1]["PipelineExecutionStatus"] = "Succeeded"

    player = threading.Thread(target=play)
    player.start()
    result = headrace("watch", "--interval", "0.05", "--wait-for-start", "20")
    player.join()
    assert result.status == 0, result.err
    assert "waiting up to 20 s for a run to start (the newest, display-old1, started 1 h ago: Succeeded)" in result.err
    assert re.search(r"Preprocess  Executing\n.*Preprocess  Succeeded  7 s\n", result.err)
    assert result.out.startswith("display-new1 Succeeded")


def test_watch_takes_a_run_that_ended_before_it_was_called(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws
) -> None:
    succeeded(sagemaker, aws)
    after = (sagemaker.now - timedelta(minutes=6)).isoformat()
    assert headrace("watch", "--after", after).status == 0
    later = headrace("watch", "--after", sagemaker.now.isoformat(), "--wait-for-start", "0")
    assert later.status == 1
    assert "hint: headrace run --again" in later.err


def test_a_failed_run_ends_with_its_reason_and_last_log_lines(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    failed(sagemaker)
    result = headrace("watch", "bad1")
    assert result.status == 1
    said = result.err[result.err.index("error: ") :]
    assert said.startswith("error: step TrainSpot of run display-bad1 failed: loss is not finite\n")
    assert "epoch=25" not in said
    assert "  epoch=26\n" in said
    assert result.err.count("loss is not finite") == 1  # neither when the step ends nor in the log once more
    assert "exit code" not in said  # 1 says nothing
    assert said.endswith("\n\nhint: headrace logs display-bad1 TrainSpot   # the whole log\n")


def test_a_run_whose_name_a_newer_one_has_is_shown_by_its_id(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    for name, minutes in (("older", 9), ("newer", 3)):
        sagemaker.add_run(name, "Succeeded", minutes_ago=minutes)
        sagemaker.executions[-1]["PipelineExecutionDisplayName"] = "birds-0123abcd"
    assert [line.split()[0] for line in headrace("runs").out.splitlines()] == ["run", "birds-0123abcd", "older"]
    assert "birds-0123abcd Succeeded" in headrace("watch", "birds-0123abcd").out
    assert headrace("watch", "older").out.startswith("older Succeeded")


def test_a_refused_model_ends_the_watch_with_the_fail_steps_message(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    arn = sagemaker.add_run("poor1", "Failed")
    sagemaker.add_step(arn, "CheckQuality", "Succeeded", Metadata={"Condition": {"Outcome": "False"}})
    sagemaker.add_step(arn, "RefuseModel", "Failed", started=1, FailureReason="accuracy 0.4, where 0.8 is asked for")
    result = headrace("watch", "poor1")
    assert result.status == 1
    assert "the condition is False" in result.err
    assert "error: step RefuseModel of run display-poor1 failed: accuracy 0.4, where 0.8 is asked for" in result.err


def test_a_missing_log_does_not_hide_the_reason(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    failed(sagemaker)
    sagemaker.log.clear()
    result = headrace("watch", "bad1")
    assert "display-bad1 failed: loss is not finite" in result.err
    assert "ended without writing a line" in result.err


def test_wait_for_execution_ends_with_its_time(environment: Environment, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_run("old1", "Succeeded")
    began = time.monotonic()
    with pytest.raises(NotFound, match="no run started within 0 s"):
        wait_for_execution(environment, after=sagemaker.now, seconds=0.3, interval=0.1)
    assert 0.1 <= time.monotonic() - began < 3


def test_logs_are_of_one_step_or_all(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    succeeded(sagemaker, aws)
    sagemaker.log["pipelines-good1-TrainSpot/algo-1-17"] = ["one", "two"]
    sagemaker.log["pipelines-good1-TrainOnDemand/algo-1-17"] = ["first"]
    sagemaker.log["pipelines-good1-TrainOnDemand/algo-2-17"] = ["second"]
    assert headrace("logs", "good1", "TrainSpot").out == "one\ntwo\n"
    assert headrace("logs", "TrainSpot", "--tail", "1").out == "two\n"  # a step of the newest run
    assert headrace("logs", "good1", "TrainOnDemand").out == "[algo-1-17] first\n[algo-2-17] second\n"
    everything = headrace("logs")
    assert everything.out.splitlines()[0] == "one"
    assert "== TrainSpot (Succeeded), pipelines-good1-TrainSpot" in everything.err
    assert "== Evaluate: no log" in everything.err
    assert headrace("logs", "good1", "TrainSpot", "--json").data[1]["message"] == "two"


def test_a_log_that_is_not_there_says_why(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    succeeded(sagemaker, aws)
    cached = headrace("logs", "good1", "Preprocess")
    assert cached.status == 1
    assert "was cached: it took the result of run before" in cached.err
    assert "hint: headrace logs before Preprocess" in cached.err
    unknown = headrace("logs", "good1", "Train")
    assert "its steps so far: Preprocess, TrainSpot, TrainOnDemand, Evaluate" in unknown.err
    silent = headrace("logs", "good1", "Evaluate")
    assert "pipelines-good1-Evaluate ended without writing a line" in silent.err


def test_a_functions_log_group_is_looked_up(headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws) -> None:
    arn = sagemaker.add_run("good1", "Succeeded")
    function = {"Lambda": {"Arn": "arn:aws:lambda:us-east-1:000000000000:function:finder"}}
    sagemaker.add_step(arn, "FindChampion", "Succeeded", started=100, took=2, Metadata=function)
    sagemaker.log["2026/11/21/[$LATEST]abc"] = ["no champion"]
    configuration = {"FunctionName": "finder", "LoggingConfig": {"LogGroup": "/aws/cloudformation/stack/Finder"}}
    aws.objects["2015-03-31/functions/finder/configuration"] = json.dumps(configuration).encode()
    assert headrace("logs", "good1", "FindChampion").out == "no champion\n"
    (request,) = aws.requests("FilterLogEvents")
    assert request["logGroupName"] == "/aws/cloudformation/stack/Finder"
    assert request["endTime"] - request["startTime"] == 9000


def test_a_function_that_is_gone_has_no_log(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    arn = sagemaker.add_run("good1", "Succeeded")
    function = {"Lambda": {"Arn": "arn:aws:lambda:us-east-1:000000000000:function:finder"}}
    sagemaker.add_step(arn, "FindChampion", "Succeeded", started=100, took=2, Metadata=function)
    assert "the function finder of step FindChampion is gone" in headrace("logs", "good1", "FindChampion").err
