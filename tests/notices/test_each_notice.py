"""Each notice, as a queue receives it that is subscribed to the topic of a real local cloud."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_runs import BUCKET, definition, processing_step, wait_for
from worlds import DeployWorld, UploadWorld, event

from local_cloud.process import Running

NAME = "headrace-prod"
ACCOUNT, REGION = "000000000000", "us-east-1"
MODEL = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{NAME}"

Connect = Callable[[str], Any]
Check = Callable[[str, tuple[dict[str, Any], dict[str, Any]]], None]

PARAMETERS = [
    {"Name": "DataSet", "Type": "String"},
    {"Name": "Fingerprint", "Type": "String"},
    {"Name": "AccuracyThreshold", "Type": "Float", "DefaultValue": 0.9},
]
GIVEN = {"DataSet": "birds", "Fingerprint": "0123abcd4567ef890123abcd4567ef89"}
BREAKS = (
    "echo 'reading 3 objects of birds'; "
    "echo 'the data set has one class only: red' | tee /opt/ml/output/message; "
    "exit 1"
)
REFUSAL = (
    "accuracy 0.8100 on 200 test images is below accuracy_threshold = 0.9; "
    "accuracy 0.8100 against 0.9500 of champion version 1 on the same 200 test images, worse by 0.1400, where "
    "champion_tolerance = 0 (30 images only the champion gets right, 2 only the candidate; if they were equally good, "
    "a split at least so uneven would come about with probability 2.5e-07)"
)
REPORT = {
    "candidates": {"spot": {"accuracy": 0.81}, "on-demand": {"accuracy": 0.8}},
    "champion": {"present": True, "version": 1, "accuracy": 0.95},
    "comparison": {"kind": "same-classes", "champion_version": 1, "images": 200, "difference": -0.14},
    "gates": [
        {"setting": "accuracy_threshold", "passed": False},
        {"setting": "champion_tolerance", "passed": False},
        {"setting": "macro_f1_threshold", "passed": True},
    ],
    "warnings": ["the classes are imbalanced: 150 test images of 'sparrow', 5 of 'owl'"],
}


@pytest.fixture(scope="module")
def champion(connect: Connect, role: str) -> str:
    """The ARN of a function that answers as FindChampion does: an approved version."""
    register(connect("sagemaker"), "Approved", "0.95", Classes="2: owl / sparrow", ClassesDigest="1")
    answer = {"ModelPackageArn": f"{MODEL}/1", "ModelPackageVersion": 1}
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("champion.py", f"def handle(event, context):\n    return {answer!r}\n")
    return str(
        connect("lambda").create_function(
            FunctionName="find-champion", Runtime="python3.14", Handler="champion.handle", Role=role,
            Code={"ZipFile": code.getvalue()},
        )["FunctionArn"]
    )  # fmt: skip


def register(sagemaker: Any, approval: str, accuracy: str, **more: str) -> None:
    if not sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        sagemaker.create_model_package_group(ModelPackageGroupName=NAME)
    sagemaker.create_model_package(
        ModelPackageGroupName=NAME,
        ModelApprovalStatus=approval,
        InferenceSpecification={"Containers": [{"Image": "image", "ModelDataUrl": f"s3://{BUCKET}/m.tar.gz"}]},
        MetadataProperties={
            "GeneratedBy": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{NAME}/execution/abcdefghijkl"
        },
        CustomerMetadataProperties={"DataSet": "birds", "Accuracy": accuracy, "Improvement": "0.02", **more},
    )


def run(sagemaker: Any, role: str, *steps: dict[str, Any]) -> None:
    text = definition(*steps, parameters=PARAMETERS)
    if sagemaker.list_pipelines()["PipelineSummaries"]:
        sagemaker.update_pipeline(PipelineName=NAME, PipelineDefinition=text, RoleArn=role)
    else:
        sagemaker.create_pipeline(PipelineName=NAME, PipelineDefinition=text, RoleArn=role)
    given = [{"Name": name, "Value": value} for name, value in GIVEN.items()]
    arn = sagemaker.start_pipeline_execution(
        PipelineName=NAME, PipelineExecutionDisplayName="birds-0123abcd", PipelineParameters=given
    )["PipelineExecutionArn"]
    wait_for(sagemaker, arn)


def test_a_run_that_failed(connect: Connect, role: str, told: Any, entry: Check) -> None:
    run(connect("sagemaker"), role, processing_step("Preprocess", role, BREAKS))
    when = "A run failed. With `execution-stopped` it was stopped; that notice reads alike."
    entry(when, told.by_what_happened())


def test_a_run_that_failed_at_a_quota(connect: Connect, role: str, told: Any, entry: Check, cloud: Running) -> None:
    file = cloud.state / "sagemaker" / "account.toml"
    file.write_text('[quotas.sagemaker]\n"ml.m5.large for processing job usage" = 0\n')
    try:
        run(connect("sagemaker"), role, processing_step("Preprocess", role, "true"))
    finally:
        file.unlink()
    when = "A run failed at a quota of the account. In a new account many quotas are 0."
    entry(when, told.by_what_happened())


def test_a_model_that_was_refused(connect: Connect, role: str, champion: str, told: Any, entry: Check) -> None:
    report = json.dumps(REPORT)
    evaluate = processing_step("Evaluate", role, 'printf %s "$@" > /opt/ml/processing/out/evaluation.json')
    words = [
        "sh",
        *(report[start : start + 200] for start in range(0, len(report), 200)),
    ]  # a word holds 256 characters
    evaluate["Arguments"]["AppSpecification"]["ContainerArguments"] = words
    evaluate["Arguments"]["ProcessingOutputConfig"]["Outputs"][0]["OutputName"] = "evaluation"
    message = f"The model was not registered: {REFUSAL}"
    refuse = {
        "Name": "RefuseModel", "Type": "Fail", "Arguments": {"ErrorMessage": message}, "DependsOn": ["Evaluate"],
    }  # fmt: skip
    outputs = [
        {"OutputName": "ModelPackageArn", "OutputType": "String"},
        {"OutputName": "ModelPackageVersion", "OutputType": "Integer"},
    ]
    find = {"Name": "FindChampion", "Type": "Lambda", "FunctionArn": champion, "OutputParameters": outputs}
    run(connect("sagemaker"), role, find, evaluate | {"DependsOn": ["FindChampion"]}, refuse)
    entry("A run went through, and the gate refused its model.", told.by_what_happened())


def test_a_model_that_waits(connect: Connect, champion: str, told: Any, entry: Check) -> None:
    compared = (
        "+0.0200 against champion version 1 on the same 200 test images - 1 class added - tit - compared on the 200 "
        "test images of the 2 classes that both know"
    )
    more = {"Classes": "3: owl / sparrow / tit", "ClassesDigest": "2", "Comparison": compared, "Warnings": "none"}
    register(connect("sagemaker"), "PendingManualApproval", "0.97", **more)
    entry("A version was registered and waits for somebody's approval.", told.by_what_happened())


@pytest.mark.parametrize("works", [True, False])
def test_a_deployment_and_a_rollback(told: Any, entry: Check, works: bool) -> None:
    """The deployer's own messages, about the version that the test before has registered."""
    registry = DeployWorld()
    assert registry.deliver(registry.decide(1, "Approved")) == []
    registry.settle()
    assert registry.deliver(registry.decide(2, "Approved")) == []
    if not works:
        registry.roll_back()
    registry.settle()
    notice = json.loads(json.dumps(registry.cloud.notices[-1]).replace("headrace-test", NAME))
    if works:
        when = "An approved version is served. The endpoint was looked at after it came to rest."
    else:
        when = "An approved version could not be served, and SageMaker has silently gone back to the one before."
    entry(when, told.by(notice | {"model_package_arn": f"{MODEL}/2"}))


def test_an_artifact_that_was_exchanged(told: Any, entry: Check) -> None:
    registry = DeployWorld()
    change = registry.decide(2, "Approved")
    (key,) = registry.cloud.keys("data-bucket", "models/")
    registry.cloud.put("data-bucket", key, b"exchanged")
    assert registry.deliver(change) == []
    (notice,) = registry.cloud.notices
    when = "An approved version names an artifact that is not the registered one. It is not deployed."
    notice = json.loads(json.dumps(notice).replace("headrace-test", NAME))
    entry(when, told.by(notice | {"model_package_arn": f"{MODEL}/2"}))


@pytest.mark.parametrize("how", ["deleted", "rejected"])
def test_an_endpoint_that_is_not_as_the_registry_wants(told: Any, entry: Check, how: str) -> None:
    """The endpoint is deleted by hand, or its version is rejected and the event is lost."""
    registry = DeployWorld()
    for version in (1, 2):
        assert registry.deliver(registry.decide(version, "Approved")) == []
        registry.settle()
    if how == "deleted":
        del registry.cloud.endpoints["headrace-test"]
        when = "The endpoint was deleted or moved by hand. It is not made again by itself: deletion stops its cost."
    else:
        registry.decide(2, "Rejected")
        when = "The served version was rejected or deleted, and another is approved: that one is deployed."
    registry.cloud.notices.clear()
    assert registry.deliver({"headrace": "periodic-look"}) == []
    registry.look()
    notice = json.loads(json.dumps(registry.cloud.notices[0]).replace("headrace-test", NAME))
    entry(when, told.by(notice))


def test_an_endpoint_that_is_out_of_order(told: Any, entry: Check) -> None:
    change = json.loads(json.dumps(event("endpoint_failed")).replace("headrace-test", NAME))
    entry("The endpoint failed, at a deployment or by itself.", told.by(change))


def test_a_dead_letter(connect: Connect, told: Any, entry: Check) -> None:
    """A message in a queue, its alarm, the topic for alarms, and the queue of notices."""
    sqs, sns = connect("sqs"), connect("sns")
    alarms = sns.create_topic(Name="alarms")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=told.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    attributes = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=alarms, Protocol="sqs", Endpoint=arn, Attributes=attributes)
    dead = sqs.create_queue(QueueName="uploads-dead-letters")["QueueUrl"]
    connect("cloudwatch").put_metric_alarm(
        AlarmName="uploads-dead-letters-alarm",
        AlarmDescription="Uploads were not taken up. The messages lie in the dead-letter queue uploads-dead-letters,"
        " and the log of start_pipeline says why. Fix that, then redrive them.",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "uploads-dead-letters"}],
        Statistic="Maximum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching", AlarmActions=[alarms],
    )  # fmt: skip
    sqs.send_message(QueueUrl=dead, MessageBody="of no use")
    when = "A message could not be processed. Other alarms come as `alarm`."
    entry(when, told.by_what_happened())


def test_a_message_that_was_set_aside(told: Any, entry: Check) -> None:
    """The trigger's own message, of a data set that is named after its second download."""
    world = UploadWorld()
    world.upload("datasets/birds (1).zip")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += 60
    world.deliver(world.cloud.queue[0])
    (notice,) = world.cloud.notices
    when = "A message was refused; the dead-letter queue's alarm (`dead-letter`) speaks of the first one only."
    entry(when, told.by(notice))


def test_a_definition_that_was_refused(told: Any, entry: Check) -> None:
    """The trigger's own message."""
    world = UploadWorld()
    world.put_definition(lambda definition: definition["Steps"][0].update(Name="${headrace:Nothing}"))
    world.settle()
    (notice,) = world.cloud.notices
    entry(
        "A pipeline definition was put into the bucket that cannot be taken.",
        told.by(json.loads(json.dumps(notice).replace("headrace-test", NAME))),
    )


def test_a_run_beyond_the_budget(told: Any, entry: Check) -> None:
    breakdown = ["TrainSpot: 1 x ml.g5.xlarge for 24 h at most: $33.79", "TrainOnDemand: the same: $33.79"]
    budget = {"estimated_cost": 67.58, "max_run_cost": 50.0, "breakdown": breakdown}
    notice = {"headrace": "notice", "kind": "budget", "data_set": "birds", "fingerprint": GIVEN["Fingerprint"]}
    entry("A run was not started, because it could cost more than `max_run_cost`.", told.by(notice | budget))


def test_more_runs_than_a_day_may_have(told: Any, entry: Check) -> None:
    """The trigger's own message."""
    when = "More runs were wanted than `max_runs_per_day`. One notice a day; further uploads are dead-lettered."
    entry(when, told.by(run_limit_notice(MAX_RUNS_PER_DAY="1")))


def test_more_runs_than_may_be_at_once(told: Any, entry: Check) -> None:
    """The trigger's own message."""
    when = "More runs were wanted than `max_concurrent_runs`. One notice a day; each upload is run in its turn."
    entry(when, told.by(run_limit_notice(MAX_CONCURRENT_RUNS="1")))


def run_limit_notice(**limit: str) -> dict[str, Any]:
    world = UploadWorld(**limit)
    for name in ("cats", "birds"):
        world.upload(f"datasets/{name}/1.jpg")
        world.deliver(world.cloud.queue[-1])
        world.cloud.now += 60
        world.deliver(world.cloud.queue[-1])
    (notice,) = world.cloud.notices
    return notice
