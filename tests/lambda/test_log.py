"""Log lines say what they are about, and metrics are log lines."""

from __future__ import annotations

from typing import Any

import pytest
from fake_aws import ACCOUNT, REGION
from notice_world import EXECUTION, NoticeWorld
from worlds import NAME, DeployWorld, UploadWorld

from shared import log


def metrics(lines: list[dict[str, Any]]) -> dict[str, float]:
    """What CloudWatch makes of the lines: the sums of the metrics in them."""
    found: dict[str, float] = {}
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Headrace"
            assert all(isinstance(line[name], str) for name in directive["Dimensions"][0])
            for metric in directive["Metrics"]:
                found[metric["Name"]] = found.get(metric["Name"], 0) + line[metric["Name"]]
    return found


def test_what_is_bound_is_in_every_line_up_to_the_end_of_its_message(logged: Any) -> None:
    with log.context(request_id="r"):
        with log.context(message_id="m"):
            log.append_keys(execution="e")
            log.info("one")
            log.error("two", ValueError("x"))
        log.info("three")
    log.info("four")
    one, two, three, four = logged()
    for line in (one, two):
        assert (line["request_id"], line["message_id"], line["execution"]) == ("r", "m", "e")
    assert (three["request_id"], "execution" in three) == ("r", False)
    assert four == {"level": "INFO", "message": "four"}


def test_a_metric_is_a_line_in_the_embedded_format(logged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The specification: CloudWatch's guide, "Embedded metric format specification"."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "start")
    log.metric("started", {"ExecutionsStarted": 1, "WaitSeconds": 61.5}, data_set="birds")
    (line,) = logged()
    assert isinstance(line["_aws"].pop("Timestamp"), int)
    assert line == {
        "level": "INFO",
        "message": "started",
        "data_set": "birds",
        "FunctionName": "start",
        "ExecutionsStarted": 1,
        "WaitSeconds": 61.5,
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "Headrace",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [
                        {"Name": "ExecutionsStarted", "Unit": "Count"},
                        {"Name": "WaitSeconds", "Unit": "Seconds"},
                    ],
                }
            ]
        },
    }


def test_an_upload_is_measured_from_its_event_to_its_start(world: UploadWorld, logged: Any) -> None:
    world.upload("datasets/birds/1.jpg")
    world.upload_and_settle("datasets/birds/2.jpg")
    lines = logged()
    found = metrics(lines)
    assert (found["Uploads"], found["ExecutionsStarted"]) == (2, 1)
    assert found["WaitSeconds"] >= world.environment.quiet_seconds
    (execution,) = world.executions()
    started = [line for line in lines if line["message"] == "execution started"]
    assert [(line["execution"], line["data_set"]) for line in started] == [(execution.arn, "birds")]
    assert all(line.get("message_id") for line in lines)


def test_a_run_that_was_asked_for_has_not_waited_since_its_upload(world: UploadWorld, logged: Any) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    logged()
    world.cloud.now += 1_000_000
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.settle()
    assert metrics(logged()) == {"ExecutionsStarted": 1}


@pytest.mark.parametrize("works", [True, False])
def test_a_deployment_is_logged_under_the_execution_that_made_the_model_and_measured_once(
    registry: DeployWorld, logged: Any, works: bool
) -> None:
    assert registry.deliver(registry.decide(1, "Approved")) == []
    registry.settle()
    logged()
    change = registry.decide(2, "Approved")
    assert registry.deliver(change, change) == []
    if not works:
        registry.roll_back()
    registry.settle()
    execution = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{NAME}/execution/abcdefghijkl"
    assert {line["execution"] for line in logged()} == {execution}
    bodies = registry.cloud.notices[1:]
    assert len(bodies) > 1
    assert NoticeWorld().deliver(*bodies) == []
    assert metrics(logged()) == ({"Deployments": 1} if works else {"Rollbacks": 1})


@pytest.mark.parametrize("refused", [True, False])
def test_a_run_that_ends_badly_is_measured_once(logged: Any, refused: bool) -> None:
    world = NoticeWorld()
    if refused:
        world.refuse_model()
    else:
        world.fail_step("Train", "no")
    assert world.deliver(world.ended(), world.ended()) == []
    lines = logged()
    assert metrics(lines) == ({"GateRefused": 1} if refused else {"ExecutionsFailed": 1})
    assert {line["execution"] for line in lines} == {EXECUTION}
