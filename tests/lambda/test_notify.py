"""Notices: sent once, never lost, readable by people and by programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aws import Refused
from notice_world import EXECUTION, TOPIC, NoticeWorld, forms
from worlds import BUCKET, NAME, DeployWorld, event

REPORT = {
    "candidates": {"spot": {"accuracy": 0.81, "loss": 0.5}, "on-demand": {"accuracy": 0.8, "loss": 0.6}},
    "champion": {"present": True, "accuracy": 0.95},
    "improvement": -0.14,
    "comparison": {"kind": "same-classes", "images": 200},
    "gates": [
        {"setting": "accuracy_threshold", "passed": True},
        {"setting": "champion_tolerance", "passed": False},
        {"setting": "class_recall_floor", "passed": False},
    ],
    "warnings": ["the classes are imbalanced"],
}
OWN: dict[str, dict[str, Any]] = {
    "definition-refused": {"definition": "pipelines/x.json", "version": '"v1"', "error": "it is bad", "hint": "fix"},
    "budget": {
        "data_set": "birds",
        "fingerprint": "0123abcd",
        "estimated_cost": 1234.5,
        "max_run_cost": 100,
        "breakdown": ["TrainSpot: 1 x ml.g5.xlarge for 24 h at most, $33.79"],
    },
    "set-aside": {
        "queue": "uploads-dead-letters",
        "message_id": "m1",
        "message": "datasets/birds (1).zip",
        "reason": "DataSetError: no\n\nhint: rename it",
    },
    "endpoint-failed": {
        "endpoint": NAME,
        "configuration": f"{NAME}-v2-0123abcd",
        "status": "Failed",
        "reason": "no capacity",
        "changed": 1800000600000,
    },
}


@pytest.fixture
def world() -> NoticeWorld:
    return NoticeWorld()


def own(kind: str, **more: Any) -> dict[str, Any]:
    return {"headrace": "notice", "kind": kind, **OWN[kind], **more}


def test_a_failed_run_tells_step_reason_log_and_what_to_do(world: NoticeWorld) -> None:
    world.fail_step("Train", "AlgorithmError: out of memory, exit code: 1", lines=25)
    text, data = world.told(world.ended())
    assert text.startswith("the run birds-0123abcd failed in Train\n")
    assert "step Train: out of memory\njob: " in text
    assert "line 6\n" in text
    assert "line 25\n" in text
    assert "line 5\n" not in text  # the last twenty
    assert "$252Fsagemaker$252FTrainingJobs/log-events/pipelines-abcdefghijkl-Train-x$252Falgo-1" in text
    what_to_do = text.partition("what to do:")[2]
    assert "headrace --env test logs birds-0123abcd Train" in what_to_do
    assert "headrace --env test run --again birds" in what_to_do
    assert (data["kind"], data["data_set"], data["execution"]) == ("execution-failed", "birds", EXECUTION)
    assert data["steps"][0]["log"] in text
    assert data["text"] == text


def test_all_failed_steps_are_told_and_two_logs_quoted(world: NoticeWorld) -> None:
    for number in range(4):
        world.fail_step(f"Step{number}", f"reason {number}", kind="ProcessingJob", lines=1)
    text, data = world.told(world.ended())
    assert text.startswith("the run birds-0123abcd failed in Step0, Step1, Step2, Step3\n")
    assert [step["reason"] for step in data["steps"]] == [f"reason {number}" for number in range(4)]
    assert text.count("last lines of the log:\n  line 1\n") == 2


@pytest.mark.parametrize("other", [True, False])
def test_a_job_that_wrote_nothing_is_told_without_a_log(world: NoticeWorld, other: bool) -> None:
    """Its log group may not be there yet, or hold other jobs' streams only."""
    if other:
        world.cloud.streams["/aws/sagemaker/TrainingJobs", "pipelines-other/algo-1"] = ["secret"]
    world.fail_step("Train", "ClientError: no capacity")
    text, data = world.told(world.ended())
    assert "step Train: no capacity" in text
    assert data["steps"][0]["log"] is None
    assert "secret" not in text


def test_a_stopped_run_and_a_run_without_a_failed_step_are_told(world: NoticeWorld) -> None:
    world.cloud.reason = "stopped by a person"
    text, data = world.told(world.ended("Stopped"))
    assert text.startswith("the run birds-0123abcd was stopped\n")
    assert "reason: stopped by a person" in text
    assert (data["kind"], data["steps"]) == ("execution-stopped", [])


def test_a_refused_model_is_told_with_the_figures_of_all(world: NoticeWorld) -> None:
    world.refuse_model(champion=3, report=REPORT)
    world.cloud.recorded[f"arn:aws:sagemaker:eu-central-1:111122223333:model-package/{NAME}/3"] = {"Accuracy": "0.96"}
    text, data = world.told(world.ended())
    assert text.startswith("the model of the run birds-0123abcd was refused\n")
    assert "candidate spot: accuracy 0.81\ncandidate on-demand: accuracy 0.8\n" in text
    assert "champion: version 3, registered with accuracy 0.9600; 0.95 on the images of this run\n" in text
    assert "threshold: accuracy 0.9\n" in text
    assert data["kind"] == "gate-refused"
    assert data["candidates"] == {"spot": 0.81, "on-demand": 0.8}
    assert data["champion"]["accuracy"] == 0.95
    assert data["threshold"] == 0.9
    assert "warning: the classes are imbalanced\n" in text
    assert "change epochs or champion_tolerance or class_recall_floor in environments.toml" in text
    assert data["missed"] == ["champion_tolerance", "class_recall_floor"]
    assert data["comparison"] == {"kind": "same-classes", "images": 200}


@pytest.mark.parametrize("report", [None, {}, {"candidates": [1], "champion": None, "gates": [1], "warnings": 3}])
def test_a_refused_model_without_a_report_is_told_by_the_steps_message(
    world: NoticeWorld, report: dict[str, Any] | None
) -> None:
    """The definition may be another one, with its own evaluation."""
    world.refuse_model(report=report)
    text, data = world.told(world.ended())
    assert "reason: The model was not registered: 'spot' has accuracy 0.81" in text
    assert "champion: none yet" in text
    assert data["candidates"] == {}


def test_an_evaluation_outside_of_the_data_bucket_is_not_asked_for(world: NoticeWorld) -> None:
    """The role may not read it: asking would fail the notice for good."""
    world.refuse_model()
    world.cloud.outputs["evaluation"] = "s3://elsewhere/runs/evaluation"
    world.told(world.ended())
    assert "GetObject" not in world.cloud.names()


def test_a_model_that_is_decided_or_gone_by_now_is_not_told(world: NoticeWorld, logged: Any) -> None:
    decided, gone = world.waits(1), world.waits(2)
    world.cloud.register(NAME, 1, "Approved")
    del world.cloud.packages[gone["detail"]["ModelPackageArn"]]
    assert world.deliver(decided, gone) == []
    assert world.cloud.published == []
    assert [line["reason"] for line in logged()] == ["the version is decided or gone"] * 2


@pytest.mark.parametrize("works", [True, False])
def test_what_the_deployer_sends_is_told(works: bool) -> None:
    registry = DeployWorld()
    assert registry.deliver(registry.decide(1, "Approved")) == []
    registry.settle()
    assert registry.deliver(registry.decide(2, "Approved")) == []
    if not works:
        registry.roll_back()
    registry.settle()
    world = NoticeWorld()
    text, data = world.told(registry.cloud.notices[-1])
    assert data["kind"] == ("deployed" if works else "rolled-back")
    if works:
        assert text.startswith(f"version 2 of {NAME} is served by the endpoint {NAME}\n")
    else:
        assert text.startswith(f"version 2 of {NAME} was rolled back: it is not served\n")
        assert f"serving: {data['serving']}, as before" in text
        assert "reason: the container did not answer /ping" in text


def test_a_dead_letter_is_told_with_what_is_lost_and_how_to_get_it_back(world: NoticeWorld) -> None:
    text, data = world.told(event("alarm_raised"))
    assert text.startswith(f"Uploads were not taken up ({NAME})\n")
    assert "dead-letter queue headrace-test-dead" in text
    assert "headrace --env test redrive" in text
    assert data["kind"] == "dead-letter"


def test_a_message_that_was_set_aside_is_told_with_the_reason_and_once(world: NoticeWorld) -> None:
    text, data = world.told(own("set-aside"))
    assert text.startswith("a message was dead-lettered: datasets/birds (1).zip\n")
    assert "reason: DataSetError: no\n\nhint: rename it" in text
    assert "headrace --env test redrive" in text
    assert (data["queue"], data["message_id"]) == ("uploads-dead-letters", "m1")
    assert world.deliver(own("set-aside"), own("set-aside", message_id="m2")) == []
    assert len(world.cloud.published) == 2


def test_what_is_set_aside_here_makes_no_notice_that_would_be_set_aside_in_turn(world: NoticeWorld) -> None:
    assert world.deliver(own("set-aside", message_id=1)) == []
    assert (len(world.cloud.dead_letters), world.cloud.notices) == (1, [])


def test_another_alarm_is_told_as_such(world: NoticeWorld) -> None:
    alarm = event("alarm_raised")
    alarm["Trigger"]["MetricName"] = "Errors"
    text, data = world.told(alarm)
    assert data["kind"] == "alarm"
    assert "redrive\n" not in text


def test_an_alarm_that_ends_is_not_told(world: NoticeWorld) -> None:
    assert world.deliver(event("alarm_raised") | {"NewStateValue": "OK"}) == []
    assert world.cloud.published == []


def test_a_refused_definition_is_told(world: NoticeWorld) -> None:
    text, data = world.told(own("definition-refused", definition=f"pipelines/{NAME}.json"))
    assert text.startswith(f"the definition pipelines/{NAME}.json was refused; the pipeline {NAME} stays as it was\n")
    assert "error: it is bad\nhint: fix" in text
    assert f"aws s3 cp definition.json s3://{BUCKET}/pipelines/{NAME}.json\n" in text
    assert f"s3://{BUCKET}/pipelines/{NAME}.error.json" in text
    assert data["definition"] == f"s3://{BUCKET}/pipelines/{NAME}.json"


def test_a_definition_under_another_name_is_told_with_where_it_belongs(world: NoticeWorld) -> None:
    """It would be refused there again, however good it is."""
    text, _ = world.told(own("definition-refused", definition="pipelines/my birds.json"))
    assert "aws s3 cp" not in text
    assert f"aws s3 mv 's3://{BUCKET}/pipelines/my birds.json' s3://{BUCKET}/pipelines/{NAME}.json\n" in text
    assert f"s3://{BUCKET}/pipelines/my birds.error.json has the same error, until" in text
    assert f"{NAME}.error.json" not in text


def test_a_run_beyond_the_budget_is_told_with_the_sum(world: NoticeWorld) -> None:
    text, data = world.told(own("budget"))
    assert text.startswith("no run was started on birds: it could cost $1,234.50\n")
    assert "  TrainSpot: 1 x ml.g5.xlarge for 24 h at most, $33.79\n" in text
    assert (data["estimated_cost"], data["max_run_cost"]) == (1234.5, 100)


def test_a_broken_endpoint_is_told_once_by_the_event_and_the_deployer(world: NoticeWorld) -> None:
    text, data = world.told(event("endpoint_failed"))
    assert text.startswith(f"the endpoint {NAME} is FAILED and may answer nobody\n")
    assert data["reason"].startswith("The primary container")
    assert world.deliver(own("endpoint-failed")) == []
    assert len(world.cloud.published) == 1


def test_subscribers_can_filter_and_get_the_form_for_their_protocol(world: NoticeWorld) -> None:
    world.told(own("budget"))
    (request,) = world.cloud.published
    assert (request["TopicArn"], request["MessageStructure"]) == (TOPIC, "json")
    assert request["Subject"] == "[headrace test] no run was started on birds: it could cost $1,234.50"
    values = {name: value["StringValue"] for name, value in request["MessageAttributes"].items()}
    assert values == {"kind": "budget", "environment": "test"}
    message = json.loads(request["Message"])
    assert message["default"].startswith("no run was started on birds")
    for protocol in ("sqs", "lambda", "http", "https"):
        assert json.loads(message[protocol])["kind"] == "budget"


def test_a_subject_is_what_sns_takes(world: NoticeWorld) -> None:
    """A hundred characters of ASCII on one line; the body keeps the name as it is."""
    text, _ = world.told(own("budget", data_set="vögel\n" + "x" * 200))
    (request,) = world.cloud.published
    assert len(request["Subject"]) == 100
    assert "v?gel x" in request["Subject"]
    assert "vögel" in text


@pytest.mark.parametrize("character", ["ü", '"', "\x1b", "\U0001f426"])
def test_the_largest_notice_fits_into_a_message(world: NoticeWorld, character: str) -> None:
    """SNS takes 256 KB for all forms together; what to do is never cut off."""
    for number in range(10):
        world.fail_step(f"Step{number}", character * 1024, kind="TrainingJob", lines=1)
    for key in world.cloud.streams:
        world.cloud.streams[key] = [character * 10_000] * 100
    text, _ = world.told(world.ended())
    assert len(world.cloud.published[0]["Message"].encode()) < 256 * 1024
    assert "run --again birds" in text


def test_a_log_is_quoted_without_what_a_terminal_would_make_of_it(world: NoticeWorld) -> None:
    world.fail_step("Train", "no", lines=1)
    for key in world.cloud.streams:
        world.cloud.streams[key] = ["\x1b[31mred\x1b[0m\x07 end\r"]
    text, _ = world.told(world.ended())
    assert "  red end\n" in text


def test_the_same_change_is_told_once_however_often_it_comes(world: NoticeWorld, logged: Any) -> None:
    world.fail_step("Train", "no")
    assert world.deliver(world.ended(), world.ended()) == []
    assert world.deliver(world.ended() | {"id": "another"}) == []
    assert len(world.cloud.published) == 1
    assert [line["message"] for line in logged()] == ["notice sent", "notice already sent", "notice already sent"]
    assert len(world.cloud.keys(BUCKET, "notices/")) == 1


def test_a_second_refusal_or_rollback_is_told_again(world: NoticeWorld) -> None:
    bodies = [own("definition-refused"), own("definition-refused", version='"v2"'), own("endpoint-failed")]
    bodies.append(own("endpoint-failed", changed=1800000700000))
    assert world.deliver(*bodies) == []
    assert len(world.cloud.published) == 4


@pytest.mark.parametrize("operation", ["Publish", "ListPipelineExecutionSteps", "DescribeLogStreams", "HeadObject"])
def test_a_notice_that_cannot_be_sent_is_a_failed_message_and_sent_when_it_comes_again(
    world: NoticeWorld, operation: str
) -> None:
    world.fail_step("Train", "no", lines=1)

    def refuse(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if (moment, name) == ("before", operation):
            raise Refused("ThrottlingException", "Rate exceeded")

    world.cloud.interrupt = refuse
    assert world.deliver(world.ended()) == ["m0"]
    assert world.cloud.keys(BUCKET, "notices/") == []
    world.cloud.interrupt = None
    world.told(world.ended())


def test_who_dies_before_the_marker_tells_again_rather_than_never(world: NoticeWorld) -> None:
    def refuse(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if (moment, name) == ("before", "PutObject"):
            raise Refused("SlowDown", "no", 503)

    world.cloud.interrupt = refuse
    assert world.deliver(own("budget")) == ["m0"]
    world.cloud.interrupt = None
    assert world.deliver(own("budget"), own("budget")) == []
    assert len(world.cloud.published) == 2


def test_two_workers_at_the_same_moment_are_both_done(world: NoticeWorld) -> None:
    def overtake(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if (moment, name) == ("before", "PutObject"):
            world.cloud.interrupt = None
            assert world.deliver(own("budget")) == []

    world.cloud.interrupt = overtake
    assert world.deliver(own("budget")) == []
    assert [forms(request)[1]["kind"] for request in world.cloud.published] == ["budget"] * 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pipeline_execution_failed", {"pipelineArn": "arn:aws:sagemaker:eu-central-1:111122223333:pipeline/other"}),
        ("pipeline_execution_failed", {"currentPipelineExecutionStatus": "Executing"}),
        ("model_package_state_change", {"ModelPackageGroupName": "other"}),
        ("model_package_state_change", {"ModelApprovalStatus": "Approved"}),
        ("endpoint_failed", {"EndpointName": "other"}),
        ("endpoint_failed", {"EndpointStatus": "IN_SERVICE"}),
    ],
)
def test_an_irrelevant_event_is_ignored_with_its_reason(
    world: NoticeWorld, logged: Any, name: str, change: dict[str, str]
) -> None:
    body = event(name)
    body["detail"] |= change
    assert world.deliver(body, body | {"detail-type": "SageMaker Model State Change"}) == []
    assert world.cloud.names() == []
    assert all(line["reason"] for line in logged())


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"headrace": "notice", "kind": "gossip"},
        {"headrace": "notice", "kind": "budget", "data_set": "birds"},
        own("budget", estimated_cost="much"),
        {"AlarmName": "x", "NewStateValue": "ALARM"},
        {"detail-type": "SageMaker Endpoint State Change", "detail": {}},
        {"detail-type": "SageMaker Model Package State Change", "detail": {}},
        {"detail-type": "SageMaker Model Building Pipeline Execution Status Change", "detail": {}},
    ],
)
def test_a_malformed_message_is_dead_lettered_alone(world: NoticeWorld, logged: Any, body: Any) -> None:
    assert world.deliver(body, own("budget")) == []
    assert [json.loads(message.body) for message in world.cloud.dead_letters] == [body]
    assert len(world.cloud.published) == 1
    assert logged()[0]["type"] == "MalformedEvent"
