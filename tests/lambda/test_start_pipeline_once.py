"""The ledger: a content is run once, and again only for a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fake_aws import Crash
from worlds import BUCKET, QUIET, UploadWorld


def entry(world: UploadWorld) -> dict[str, Any]:
    (key,) = [key for key in world.cloud.keys(BUCKET, "ledger/") if not key.startswith("ledger/latest/")]
    document: dict[str, Any] = world.document(key)
    assert key == f"ledger/{document['run_key']}.json"
    return document


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["StartPipelineExecution", "PutObject"])
def test_a_crash_around_the_start_leaves_one_execution(world: UploadWorld, moment: str, operation: str) -> None:
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET

    def crash(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == (moment, operation) and parameters.get("Key", "ledger/").startswith("ledger/"):
            raise Crash

    world.cloud.interrupt = crash
    assert not world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    world.settle()
    starts = [parameters for name, parameters in world.cloud.calls if name == "StartPipelineExecution"]
    assert len({start["ClientRequestToken"] for start in starts}) == 1
    assert [execution.arn for execution in world.executions()] == [entry(world)["execution_arn"]]


@pytest.mark.parametrize("others", [0, 40])
def test_a_redelivery_after_sagemaker_forgot_the_token_starts_no_second_run(world: UploadWorld, others: int) -> None:
    """The ARN was not written, and the message comes again 9 hours later; `others` is more than a page of runs."""
    world.cloud.token_seconds = 600.0
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET
    crash_after_the_start(world)
    assert not world.deliver(world.cloud.queue[0], keep=True)
    world.cloud.interrupt = None
    (started,) = world.executions()
    for number in range(others):
        more = replace(started, arn=f"{started.arn}-{number}", display_name=f"other-{number}")
        world.cloud.executions = {more.arn: more, **world.cloud.executions}
    world.cloud.now += 9 * 3_600
    assert world.deliver(world.cloud.queue[0])
    assert world.cloud.names().count("StartPipelineExecution") == 1
    assert entry(world)["execution_arn"] == started.arn


def test_a_run_of_another_definition_is_not_taken_for_the_one_that_was_started(world: UploadWorld) -> None:
    """Both have the same display name: it says the data set, the content and the attempt."""
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Succeeded")
    world.put_definition(lambda definition: definition["Steps"].pop())
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.cloud.now += QUIET

    def crash(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == ("before", "StartPipelineExecution"):
            raise Crash

    world.cloud.interrupt = crash
    assert not world.deliver(world.cloud.queue[-1], keep=True)
    world.cloud.interrupt = None
    world.settle()
    first, second = world.executions()
    assert first.display_name == second.display_name
    assert first.description != second.description


def crash_after_the_start(world: UploadWorld) -> None:
    def crash(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == ("after", "StartPipelineExecution"):
            raise Crash

    world.cloud.interrupt = crash


def test_a_deleted_pipeline_is_created_again_with_a_token_of_its_own(world: UploadWorld) -> None:
    """For how long SageMaker takes a token for a repetition is not documented."""
    for _ in range(2):
        world.put_definition(lambda definition: None)
        world.settle()
        world.cloud.pipelines.clear()
    first, second = (request for name, request in world.cloud.calls if name == "CreatePipeline")
    assert first["ClientRequestToken"] != second["ClientRequestToken"]
    assert first["PipelineDefinition"] == second["PipelineDefinition"]


def test_the_ledger_says_what_was_started(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    (execution,) = world.executions()
    written = entry(world)
    assert len(written.pop("run_key")) == 64
    assert written == {
        "data_set": "birds",
        "fingerprint": execution.parameters["Fingerprint"],
        "attempt": 1,
        "newest_upload": "2027-01-15T08:00:00+00:00",
        "execution_arn": execution.arn,
        "asked_by": None,
        "estimated_cost": None,
    }


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_an_ended_execution_starts_anew_for_a_newer_upload(world: UploadWorld, status: str) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish(status)
    world.upload_and_settle("datasets/birds/1.jpg")
    assert len(world.executions()) == 2
    assert world.executions()[1].display_name.endswith("-2")
    assert entry(world)["attempt"] == 2


@pytest.mark.parametrize("status", ["Executing", "Stopping", "Succeeded"])
def test_a_newer_upload_of_the_same_content_does_not_disturb(world: UploadWorld, status: str) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish(status)
    world.upload_and_settle("datasets/birds/1.jpg")
    assert len(world.executions()) == 1


def test_a_failed_execution_does_not_start_anew_by_itself(world: UploadWorld, logged: Any) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.settle()
    assert len(world.executions()) == 1
    assert "run-again" in logged()[-1]["reason"]


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Succeeded"])
def test_run_again_starts_an_ended_execution_anew(world: UploadWorld, status: str) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish(status)
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.settle()
    assert len(world.executions()) == 2


def test_run_again_does_not_double_a_running_execution(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.settle()
    assert len(world.executions()) == 1


def test_a_redelivered_run_again_is_one_wish(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.deliver(world.cloud.queue[0], keep=True)
    world.finish("Failed")
    world.deliver(world.cloud.queue[0])
    assert len(world.executions()) == 2
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.settle()
    assert len(world.executions()) == 3


def test_run_again_waits_for_an_upload_that_goes_on(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.upload("datasets/birds/2.jpg")
    world.cloud.queue.clear()
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.deliver(world.cloud.queue[0])
    assert len(world.executions()) == 1
    world.settle()
    assert len(world.executions()) == 2


def test_run_again_runs_a_data_set_that_was_never_run(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.cloud.queue.clear()
    world.cloud.now += QUIET
    world.send({"headrace": "run-again", "data_set": "birds"})
    world.settle()
    assert len(world.executions()) == 1


def test_another_definition_makes_another_run(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.put_definition(lambda definition: definition["Steps"].pop())
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.settle()
    assert len(world.executions()) == 2
    assert len(set(world.fingerprints())) == 1


def test_an_execution_that_no_longer_exists_counts_as_ended(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    world.cloud.executions.clear()
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.settle()
    assert world.executions() == []
    world.upload_and_settle("datasets/birds/1.jpg")
    assert len(world.executions()) == 1


@pytest.mark.parametrize("point", range(30))
def test_two_workers_at_once_start_one_attempt(world: UploadWorld, point: int) -> None:
    """The second worker does all of its work between any two calls of the first."""
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET
    check = world.cloud.queue[0]
    calls = iter(range(1_000))

    def interleave(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if moment == "before" and next(calls) == point:
            world.cloud.interrupt = None
            world.deliver(check, keep=True)

    world.cloud.interrupt = interleave
    world.deliver(check)
    assert len(world.executions()) == 2
    assert entry(world) | {"attempt": 2, "execution_arn": world.executions()[1].arn} == entry(world)


def test_what_is_uploaded_during_a_run_is_run_once_after_it(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg", "a")
    first = world.executions()[0]
    for content in "bcd":
        world.upload("datasets/birds/1.jpg", content)
        for _ in range(3):  # a check and two more looks
            message = min(world.cloud.queue, key=lambda message: message.due)
            world.cloud.now = message.due
            assert world.deliver(message)
    assert world.executions() == [first]
    world.finish("Failed")
    world.settle()
    assert len(world.executions()) == 2


def test_other_data_sets_do_not_wait(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg")
    before = world.cloud.now
    world.upload_and_settle("datasets/boats/1.jpg")
    assert [execution.status for execution in world.executions()] == ["Executing"] * 2
    assert world.cloud.now == before + QUIET


def test_content_that_returns_while_its_run_is_on_is_not_run_again(world: UploadWorld) -> None:
    world.upload_and_settle("datasets/birds/1.jpg", "a")
    for content in "ba":
        world.upload("datasets/birds/1.jpg", content)
        world.deliver(world.cloud.queue[-1])
    world.settle()
    assert len(world.executions()) == 1


@pytest.mark.parametrize(
    ("data_set", "name"),
    [("b", "b"), ("--a__b.zip", "a-b-zip"), ("日本", "data"), ("x" * 200, "x" * 73), ("x" * 72 + "-y", "x" * 72)],
)
def test_the_display_name_is_one_that_sagemaker_takes(world: UploadWorld, data_set: str, name: str) -> None:
    key = f"datasets/{data_set}" if data_set.endswith(".zip") else f"datasets/{data_set}/1.jpg"
    world.upload_and_settle(key)
    assert world.executions()[0].display_name == f"{name}-{world.fingerprints()[0][:8]}"
