"""From an upload to a served model, through the real app with TLS and IAM on.

One deployment goes through all tests. Each asks for the state that it needs (states.py), so that any runs alone.
The last three stop, replace and destroy the deployment: each leaves it as a test behind it can take it.
"""

import io
import json
import shutil
import signal
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deployed_app import Deployed, Images, processes_of, project_with, register_broken, stored_twice, weights
from received_notices import receive
from states import FirstRun, RefusedRun, all_executions, start_like, uri_of, wait_for_end

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.environment import LOCAL, Environment, open_environment
from headrace.client.executions import list_steps, read_execution, wait_for_execution
from headrace.client.runs import read_run
from headrace.commands import adopt, cdk, decision, redrive, runs
from headrace.project.local_cloud import ProcessCloud
from headrace.terminal.output import Output
from local_cloud import process
from pipeline_definition.train import METRICS

pytestmark = pytest.mark.timeout(600)

QUIET_SECONDS = 3  # environments.toml, [local]


EXPIRING = ("checkpoints/", "notices/", "quiet/")  # lifecycle rules in infra/; a day of them is 20 s here


def all_objects(deployed: Deployed) -> set[tuple[str, str, str]]:
    """Key, version and ETag of every version in the data bucket."""
    s3 = deployed.environment.client("s3").get_paginator("list_object_versions")
    pages = s3.paginate(Bucket=deployed.environment.stack.data_bucket)
    return {(item["Key"], item["VersionId"], item["ETag"]) for page in pages for item in page["Versions"]}


def data_key(environment: Environment, bucket: str) -> str:
    """The KMS key that the bucket encrypts with, which has to be usable."""
    encryption = environment.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
    key = environment.client("kms").describe_key(
        KeyId=encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    )["KeyMetadata"]
    assert key["KeyState"] == "Enabled"
    return str(key["KeyId"])


def function_log(deployed: Deployed, since: datetime) -> str:
    logs = deployed.environment.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    group = next(name for name in groups if "StartPipeline" in name)
    events = logs.filter_log_events(logGroupName=group, startTime=int(since.timestamp() * 1000))["events"]
    return "\n".join(event["message"] for event in events)


def test_an_upload_by_the_aws_cli_starts_a_run_that_registers_a_model(first_run: FirstRun) -> None:
    assert first_run.execution.status == "Succeeded", first_run.reasons
    names = ["Preprocess", "ExplainChange", "TrainSpot", "TrainOnDemand", "FindChampion", "Evaluate"]
    names += ["CheckQuality", "StoreModel", "CheckComparison", "RegisterModel"]
    assert first_run.statuses == dict.fromkeys(names, "Succeeded")
    (package,) = first_run.packages
    assert package["ModelApprovalStatus"] == "PendingManualApproval"


def test_both_candidates_are_evaluated_and_the_cheaper_of_equals_wins(deployed: Deployed, first_run: FirstRun) -> None:
    run = read_run(deployed.environment, first_run.execution)
    assert run.evaluation is not None
    assert set(run.evaluation.candidates) == {"spot", "on-demand"}
    assert run.evaluation.accuracy is not None
    assert run.evaluation.accuracy >= 0.9
    if len(set(run.evaluation.candidates.values())) == 1:
        assert run.evaluation.winner == "spot"


@pytest.mark.usefixtures("first_run")
def test_no_content_takes_room_twice(deployed: Deployed) -> None:  # neither artifacts nor code
    assert stored_twice(deployed.state) == []


@pytest.mark.usefixtures("first_run")
def test_what_training_prints_reaches_cloudwatch(deployed: Deployed) -> None:
    metrics = deployed.environment.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TrainingJobs")["Metrics"]
    assert {metric["MetricName"] for metric in metrics} == set(METRICS)


def test_an_unapproved_model_is_not_served(first_run: FirstRun) -> None:
    assert first_run.endpoint is None


def test_approval_by_the_aws_cli_puts_the_model_in_service(
    deployed: Deployed, served: endpoint.Endpoint, images: Images, tmp_path: Path
) -> None:
    assert (served.status, served.version) == ("InService", 1)
    image, answer = next(iter(sorted((images.held_out / "3").iterdir()))), tmp_path / "answer.json"
    deployed.aws(
        "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", served.name, "--content-type", "image/jpeg",
        "--body", f"fileb://{image}", str(answer),
    )  # fmt: skip
    (prediction,) = json.loads(answer.read_text())["predictions"]
    assert prediction["label"] == "3"


@pytest.mark.usefixtures("served")
def test_held_out_images_are_predicted_right(deployed: Deployed, images: Images) -> None:
    answers = endpoint.ask(deployed.environment, sorted(images.held_out.rglob("*.jpg")))
    right = [answer for answer in answers if answer.label == answer.file.parent.name]
    assert len(answers) == 30
    assert len(right) >= 27, [(answer.file.name, answer.label, answer.error) for answer in answers]


@pytest.mark.usefixtures("first_run")
def test_the_same_content_again_starts_nothing(deployed: Deployed, images: Images) -> None:
    before, since = all_executions(deployed), datetime.now(UTC)
    s3 = deployed.environment.client("s3")
    image = sorted(images.seen.rglob("*.jpg"))[0]
    key = f"datasets/digits/{image.relative_to(images.seen).as_posix()}"
    s3.put_object(Bucket=deployed.environment.stack.data_bucket, Key=key, Body=image.read_bytes())
    deadline = time.monotonic() + 60
    while "this content has been run" not in function_log(deployed, since):  # the check has been made, and has decided
        assert time.monotonic() < deadline, function_log(deployed, since)
        time.sleep(0.3)
    assert all_executions(deployed) == before


@pytest.mark.usefixtures("first_run")
def test_one_changed_image_starts_exactly_one_more_run(deployed: Deployed, images: Images) -> None:
    before, since = all_executions(deployed), datetime.now(UTC)
    first, second = sorted((images.seen / "7").iterdir())[:2]
    shutil.copyfile(second, first)
    deployed.aws("s3", "cp", "--only-show-errors", str(first), f"{uri_of(deployed)}7/{first.name}")
    execution = wait_for_execution(deployed.environment, after=since, seconds=60, interval=0.3)
    assert wait_for_end(deployed, execution).status == "Succeeded"
    steps = {step.name: step for step in list_steps(deployed.environment, execution)}
    assert steps["Preprocess"].cached_from is None  # the content has changed, though the key is the same
    time.sleep(2 * QUIET_SECONDS)
    assert len(all_executions(deployed)) == len(before) + 1


@pytest.mark.usefixtures("first_run")
def test_only_the_threshold_changed_takes_all_jobs_from_the_cache(deployed: Deployed) -> None:
    last = all_executions(deployed)[0]
    execution = wait_for_end(deployed, start_like(deployed, last, AccuracyThreshold="1.0"))
    steps = {step.name: step for step in list_steps(deployed.environment, execution)}
    for name in ("Preprocess", "TrainSpot", "TrainOnDemand"):
        assert steps[name].cached_from == last.id, steps[name]


def test_a_model_worse_than_the_champion_is_refused_with_figures(deployed: Deployed, refused_run: RefusedRun) -> None:
    assert refused_run.execution.status == "Failed"
    run = read_run(deployed.environment, refused_run.execution)
    assert run.failed_step is not None
    assert run.failed_step.name == "RefuseModel"
    assert run.evaluation is not None
    assert "champion_tolerance = 0" in str(run.failed_step.reason)
    assert f"of champion version {refused_run.champion}" in str(run.failed_step.reason)
    assert refused_run.versions_after == refused_run.versions_before


@pytest.mark.usefixtures("first_run")
def test_a_spot_job_killed_twice_ends_with_the_weights_of_an_uninterrupted_one(deployed: Deployed) -> None:
    """SIGTERM, then SIGKILL; the on-demand lane trains with the same seed and is left alone."""
    sagemaker, s3 = deployed.environment.client("sagemaker"), deployed.environment.client("s3")
    usual = {"LearningRate": None, "AccuracyThreshold": None}  # as the definition has them
    arn = start_like(deployed, all_executions(deployed)[0], Epochs="40", **usual).arn
    spot = job_of(deployed, arn, "TrainSpot")
    uri = sagemaker.describe_training_job(TrainingJobName=spot)["CheckpointConfig"]["S3Uri"]
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")

    def checkpoints() -> set[str]:
        return {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])}

    seen: set[str] = set()
    for count, number in enumerate((signal.SIGTERM, signal.SIGKILL)):
        deadline = time.monotonic() + 60
        while checkpoints() <= seen or interruptions(sagemaker, spot) < count:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        seen = checkpoints()
        process.interrupt(deployed.state, spot, number)
    assert wait_for_end(deployed, read_execution(deployed.environment, arn)).status == "Succeeded"
    description = sagemaker.describe_training_job(TrainingJobName=spot)
    assert interruptions(sagemaker, spot) == 2
    assert description["BillableTimeInSeconds"] < description["TrainingTimeInSeconds"]
    on_demand = job_of(deployed, arn, "TrainOnDemand")
    assert weights(deployed, spot) == weights(deployed, on_demand)


def job_of(deployed: Deployed, execution_arn: str, name: str) -> str:
    """The job of a step, as soon as it has one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        execution = read_execution(deployed.environment, execution_arn)
        for step in list_steps(deployed.environment, execution):
            if step.name == name and step.job is not None:
                return step.job
        time.sleep(0.1)
    raise AssertionError(f"{name} has no job")


def interruptions(sagemaker: Any, job: str) -> int:
    transitions = sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatusTransitions"]
    return [item["Status"] for item in transitions].count("Interrupted")


@pytest.mark.usefixtures("first_run")
def test_an_action_taken_from_the_trigger_is_denied_and_seen_and_given_back_it_works(deployed: Deployed) -> None:
    iam = deployed.environment.client("iam")
    role = next(role["RoleName"] for role in iam.list_roles()["Roles"] if "StartPipelineRole" in role["RoleName"])
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    poorer = json.loads(json.dumps(whole).replace('"sagemaker:StartPipelineExecution"', '"sagemaker:ListPipelines"'))
    assert poorer != whole
    before, since = all_executions(deployed), datetime.now(UTC)

    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(poorer))
    runs.run_again(deployed.environment, Output(), data_set="digits", again=True)
    deadline = time.monotonic() + 60
    while "not authorized to perform: sagemaker:StartPipelineExecution" not in function_log(deployed, since):
        assert time.monotonic() < deadline, function_log(deployed, since)
        time.sleep(0.3)
    assert all_executions(deployed) == before

    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(whole))
    redrive.redrive(deployed.environment, Output(), list_only=False)
    execution = wait_for_execution(deployed.environment, after=since, seconds=60, interval=0.3)
    assert wait_for_end(deployed, execution).status == "Succeeded"


def test_an_archive_whose_event_comes_four_times_starts_one_run(
    deployed: Deployed, images: Images, tmp_path: Path
) -> None:
    stack, sqs = deployed.environment.stack, deployed.environment.client("sqs")
    archive = Path(shutil.make_archive(str(tmp_path / "digits"), "zip", images.seen))
    before, since = all_executions(deployed), datetime.now(UTC)
    deployed.environment.client("s3").put_object(
        Bucket=stack.data_bucket, Key="datasets/digits.zip", Body=archive.read_bytes()
    )
    for sequencer in ("0A", "09", "0A"):  # late, out of order, and once more
        s3 = {"bucket": {"name": stack.data_bucket}, "object": {"key": "datasets/digits.zip", "sequencer": sequencer}}
        record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}
        sqs.send_message(QueueUrl=stack.upload_queue_url, MessageBody=json.dumps({"Records": [record]}))
        time.sleep(QUIET_SECONDS / 2)
    execution = wait_for_execution(deployed.environment, after=since, seconds=60, interval=0.3)
    assert wait_for_end(deployed, execution).status == "Succeeded"
    assert len(all_executions(deployed)) == len(before) + 1


@pytest.mark.usefixtures("served", "refused_run")
def test_people_are_notified_of_all_that_happened(deployed: Deployed, images: Images, subscribed: str) -> None:
    """As a subscriber receives it: of the tests above, of a version that does not come up, and of a run that fails."""
    environment, since = deployed.environment, datetime.now(UTC)
    broken = register_broken(environment)
    decision.decide(environment, Output(), version=str(broken), approval="Approved", note=None)
    packed = io.BytesIO()  # the trigger looks into no archive: loose images of one class would start no run
    with zipfile.ZipFile(packed, "w") as archive:
        for image in sorted((images.seen / "7").iterdir())[:3]:
            archive.write(image, f"7/{image.name}")
    environment.client("s3").put_object(
        Bucket=environment.stack.data_bucket, Key="datasets/sevens.zip", Body=packed.getvalue()
    )
    execution = wait_for_execution(environment, after=since, seconds=60, interval=0.3)
    assert wait_for_end(deployed, execution).status == "Failed"
    received = receive(environment, subscribed, until={"execution-failed", "rolled-back"})
    decision.decide(environment, Output(), version=str(broken), approval="Rejected", note=None)

    (failed,) = [notice for notice in received if notice["kind"] == "execution-failed"]
    assert failed["execution"] == execution.arn
    assert failed["headline"] == f"the run {execution.display_name} failed in Preprocess"
    assert "step Preprocess" in failed["text"]
    assert "the data set has one class only: 7" in failed["text"]
    assert f"headrace --env local logs {execution.display_name} Preprocess" in failed["text"]
    waiting = [notice["version"] for notice in received if notice["kind"] == "approval-needed"]
    assert sorted({*waiting, broken}) == list(range(1, broken + 1))  # the broken one is approved too soon for a notice
    assert len(waiting) == len(set(waiting))
    (back,) = [notice for notice in received if notice["kind"] == "rolled-back"]
    assert (back["version"], back["serving"].startswith("headrace-local-v1-")) == (broken, True)
    now = endpoint.read_endpoint(environment)
    assert now is not None
    assert (now.status, now.version) == ("InService", 1)
    (served,) = [notice for notice in received if notice["kind"] == "deployed"]
    assert (served["version"], served["accuracy"] >= 0.9) == (1, True)
    refused = [notice for notice in received if notice["kind"] == "gate-refused"]
    assert refused
    assert all({"spot", "on-demand"} == set(notice["candidates"]) for notice in refused)


@pytest.mark.usefixtures("served")
def test_down_leaves_no_process_and_up_finds_everything_as_it_was(deployed: Deployed, images: Images) -> None:
    def everything(at: Deployed) -> tuple[object, ...]:
        return all_executions(at), registry.list_models(at.environment), all_objects(at)

    cloud = ProcessCloud()
    before = everything(deployed)
    assert cloud.stop(deployed.state)
    assert processes_of(deployed.state) == []
    cloud.start(deployed.state)
    again = Deployed(deployed.state, open_environment(LOCAL, cloud))
    assert everything(again) == before
    endpoint.wait_for_endpoint(again.environment, seconds=60, interval=0.3)
    (answer,) = endpoint.ask(again.environment, sorted(images.held_out.rglob("*.jpg"))[:1])
    assert answer.label == "0"


@pytest.mark.usefixtures("served")
def test_a_retained_stack_is_destroyed_and_deployed_again_over_what_it_kept(
    deployed: Deployed, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = open_environment(LOCAL, ProcessCloud())
    before = Deployed(deployed.state, environment)
    models, names = registry.list_models(environment), environment.stack
    objects = {version for version in all_objects(before) if not version[0].startswith(EXPIRING)}
    key = data_key(environment, names.data_bucket)
    with monkeypatch.context() as patch:
        patch.chdir(project_with(tmp_path, removal='"retain"'))
        cdk.deploy(environment, Output())
        protection = {"StackName": environment.stack_name, "EnableTerminationProtection": False}
        environment.client("cloudformation").update_termination_protection(**protection)
        cdk.destroy(environment, Output())
        assert environment.client("sagemaker").list_pipelines()["PipelineSummaries"] == []
        assert environment.client("sagemaker").list_endpoints()["Endpoints"] == []

        adopt.adopt(environment, Output())
        cdk.deploy(environment, Output())
    again = Deployed(deployed.state, open_environment(LOCAL, ProcessCloud()))
    assert again.environment.stack.data_bucket == names.data_bucket
    assert data_key(environment, names.data_bucket) == key
    assert registry.list_models(again.environment) == models
    assert objects <= all_objects(again)
    endpoint.wait_for_endpoint(again.environment, seconds=60, interval=0.3)
    (answer,) = endpoint.ask(again.environment, sorted(images.held_out.rglob("*.jpg"))[:1])
    assert answer.label == "0"


@pytest.mark.usefixtures("served")
def test_destroy_leaves_nothing_of_a_used_stack(deployed: Deployed) -> None:
    environment = Deployed(deployed.state, open_environment(LOCAL, ProcessCloud())).environment
    cdk.deploy(environment, Output())  # with removal = "destroy" again
    names = environment.stack  # read before it is gone
    assert registry.list_models(environment)
    cdk.destroy(environment, Output())
    sagemaker = environment.client("sagemaker")
    assert names.data_bucket not in [item["Name"] for item in environment.client("s3").list_buckets()["Buckets"]]
    assert sagemaker.list_pipelines()["PipelineSummaries"] == []
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
