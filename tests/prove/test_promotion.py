"""One account trains and approves, another serves just that. The tests build on each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed_app import Images, deployment, project_with
from eventually import eventually
from received_notices import receive, subscribe

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.environment import Environment, open_environment
from headrace.client.executions import read_execution, wait_for_execution
from headrace.client.serving import ask_for_deployment
from headrace.commands import cdk, decision, redrive, upload
from headrace.project.local_cloud import ProcessCloud
from headrace.project.session import isolated_session
from headrace.terminal.output import Output

pytestmark = pytest.mark.timeout(240)

SOURCE, CONSUMER, STRANGER = "000000000000", "333333333333", "444444444444"
REGION = "us-east-1"
LIVE = f'\n[live]\naccount = "{CONSUMER}"\nregion = "{REGION}"\nremoval = "destroy"\npromotes_from = "local"\n'
VERSION_CHANGE = "SageMaker Model Package State Change"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """`local`, deployed, from which `live` is to promote."""
    folder = tmp_path_factory.mktemp("promotion")
    (folder / "project").mkdir()
    project = project_with(folder / "project", epochs="1", accuracy_threshold="0.0", capacity='"spot"')
    with (project / "environments.toml").open("a") as file:
        file.write(LIVE)
    with deployment(folder / "state", project=project) as app:
        yield app.environment


@pytest.fixture(scope="module")
def live(source: Environment) -> Environment:
    """`live`, deployed in its own account."""
    environment = open_environment("live", ProcessCloud(), rehearsed=True)
    cdk.deploy(environment, Output())
    return environment


@pytest.fixture(scope="module")
def received(live: Environment) -> Callable[[set[str]], list[dict[str, Any]]]:
    """The notices of `live`, at the latest when one of each of the given kinds is among them."""
    url = subscribe(live)
    return lambda kinds: receive(live, url, until=kinds)


def account_of(live: Environment, account: str, service: str) -> Any:
    assert live.running is not None
    session = isolated_session(account, live.running.secret_key(account), REGION)
    return session.client(service, endpoint_url=live.running.endpoint, verify=str(live.running.certificate))


def log_of(live: Environment, function: str) -> list[dict[str, Any]]:
    logs = live.client("logs")
    (group,) = [
        group["logGroupName"] for group in logs.describe_log_groups()["logGroups"] if function in group["logGroupName"]
    ]
    events = logs.filter_log_events(logGroupName=group)["events"]
    return [json.loads(event["message"]) for event in events if event["message"].startswith("{")]


def decisions(live: Environment) -> list[str]:
    """What the deployer said of what it was given."""
    return [f"{line['message']} {line.get('reason', '')}" for line in log_of(live, "DeployModel")]


def another_version(source: Environment) -> int:
    """A version with the same artifact as the newest."""
    sagemaker = source.client("sagemaker")
    newest = sagemaker.describe_model_package(ModelPackageName=registry.find_model(source, "latest").arn)
    sagemaker.create_model_package(
        ModelPackageGroupName=source.stack.model_package_group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification=newest["InferenceSpecification"],
        CustomerMetadataProperties=newest["CustomerMetadataProperties"],
    )
    return registry.find_model(source, "latest").version


def approve(source: Environment, version: int) -> None:
    decision.decide(source, Output(), version=str(version), approval=registry.APPROVED, note=None)


def served(live: Environment) -> int | None:
    now = endpoint.read_endpoint(live)
    return now.version if now else None


def test_a_version_that_waits_is_seen_and_not_served(source: Environment, live: Environment, images: Images) -> None:
    began = datetime.now(UTC)
    upload.upload(source, Output(), path=images.seen, name="digits", delete=False)
    run = wait_for_execution(source, after=began, seconds=60, interval=0.3)
    eventually("the run has ended", lambda: not read_execution(source, run.arn).going_on, seconds=120)
    assert read_execution(source, run.arn).status == "Succeeded"
    (model,) = registry.list_models(live)
    assert (model.version, model.approval, model.data_set) == (1, registry.PENDING, "digits")
    assert f":{SOURCE}:model-package/" in model.arn
    # After a deployment, `live` also checks for itself, and finds nothing to serve.
    eventually("the absence of a model is logged", lambda: any("no approved model" in line for line in decisions(live)))
    assert endpoint.read_endpoint(live) is None


def test_what_the_source_approves_is_served_in_the_other_account(
    source: Environment, live: Environment, images: Images, received: Callable[[set[str]], list[dict[str, Any]]]
) -> None:
    approve(source, 1)
    endpoint.wait_for_endpoint(live, seconds=60, interval=0.3)
    assert served(live) == 1
    answers = endpoint.ask(live, sorted(images.held_out.rglob("*.jpg"))[:3])
    assert [answer.error for answer in answers] == [None] * 3
    (model,) = live.client("sagemaker").list_models()["Models"]
    assert model["ModelName"].startswith("headrace-live-v1-")
    assert f":{CONSUMER}:model/" in model["ModelArn"]
    (notice,) = [notice for notice in received({"deployed"}) if notice["kind"] == "deployed"]
    assert f":{SOURCE}:model-package/headrace-local/1" in notice["model_package"]
    assert "headrace --env local reject 1" in notice["text"]
    assert "headrace --env live predict IMAGE" in notice["text"]


def test_a_package_of_another_group_or_account_is_refused_from_any_sender(
    source: Environment, live: Environment
) -> None:
    """Only the source's rule may put events on the bus. An event put into the queue itself is checked and ignored."""
    event = {"Source": "aws.sagemaker", "DetailType": VERSION_CHANGE, "Detail": "{}", "EventBusName": "headrace-live"}
    (refused,) = live.client("events").put_events(Entries=[event])["Entries"]
    assert refused["ErrorCode"] == "NotAuthorizedForSourceException"
    bus = f"arn:aws:events:{REGION}:{CONSUMER}:event-bus/headrace-live"
    for account in (SOURCE, STRANGER):  # another rule of the source's own account is not let in, either
        trust = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}
        put = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus}
        iam, events = account_of(live, account, "iam"), account_of(live, account, "events")
        role = iam.create_role(RoleName="forwarder", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))[
            "Role"
        ]
        iam.put_role_policy(RoleName="forwarder", PolicyName="put", PolicyDocument=json.dumps({"Statement": [put]}))
        events.put_rule(Name="forged", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
        events.put_targets(Rule="forged", Targets=[{"Id": "bus", "Arn": bus, "RoleArn": role["Arn"]}])

    forged = []
    specification = source.client("sagemaker").describe_model_package(
        ModelPackageName=registry.find_model(source, "latest").arn
    )["InferenceSpecification"]
    for account, group in ((SOURCE, "another-group"), (STRANGER, "headrace-local")):
        sagemaker = account_of(live, account, "sagemaker")
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        forged.append(
            sagemaker.create_model_package(
                ModelPackageGroupName=group, ModelApprovalStatus="Approved", InferenceSpecification=specification
            )["ModelPackageArn"]
        )
    before = len(decisions(live))
    for arn in forged:
        group, number = arn.split("/")[-2:]
        detail = {
            "ModelPackageGroupName": group,
            "ModelPackageArn": arn,
            "ModelPackageVersion": int(number),
            "ModelApprovalStatus": "Approved",
        }
        body = json.dumps({"detail-type": VERSION_CHANGE, "detail": detail})
        queue = next(queue for queue in live.stack.queues if queue.name == "decisions")
        live.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body)
    ignored = eventually(
        "two events are ignored", lambda: [line for line in decisions(live)[before:] if line.startswith("ignored")][1:]
    )
    assert ignored
    new = decisions(live)[before:]
    assert all(any(arn in line for line in new) for arn in forged)  # by the queue: each once
    assert len(new) == len(forged)  # and none by the bus
    assert served(live) == 1
    assert len(live.client("sagemaker").list_models()["Models"]) == 1
    source.client("events").remove_targets(Rule="forged", Ids=["bus"])
    source.client("events").delete_rule(Name="forged")


def test_without_the_policy_nothing_is_served_and_people_are_notified(
    source: Environment, live: Environment, received: Callable[[set[str]], list[dict[str, Any]]]
) -> None:
    """The endpoint keeps serving; once the policy is back, `redrive` sends the dead-lettered messages again."""
    sagemaker, group = source.client("sagemaker"), {"ModelPackageGroupName": source.stack.model_package_group}
    policy = sagemaker.get_model_package_group_policy(**group)["ResourcePolicy"]
    sagemaker.delete_model_package_group_policy(**group)
    version = another_version(source)
    approve(source, version)
    (notice,) = [notice for notice in received({"set-aside"}) if notice["kind"] == "set-aside"]
    assert "no resource-based policy allows the sagemaker:ListModelPackages action" in notice["reason"]
    assert ":assumed-role/headrace-live-deploy-model/" in notice["reason"]
    assert served(live) == 1
    with pytest.raises(ClientError, match="no resource-based policy"):
        live.client("sagemaker").describe_model_package(ModelPackageName=registry.find_model(source, "latest").arn)

    sagemaker.put_model_package_group_policy(**group, ResourcePolicy=policy)
    redrive.redrive(live, Output(), list_only=False)
    eventually("the version is served", lambda: served(live) == version)


def test_a_rejection_brings_the_version_before_back(source: Environment, live: Environment) -> None:
    decision.decide(source, Output(), version="latest", approval=registry.REJECTED, note=None)
    eventually("version 1 is served", lambda: served(live) == 1)


def test_what_is_exchanged_in_the_source_is_not_deployed_here_and_nothing_but_artifacts_can_be_read(
    source: Environment, live: Environment, received: Callable[[set[str]], list[dict[str, Any]]]
) -> None:
    model, bucket = registry.find_model(source, "1"), source.stack.data_bucket
    assert model.artifact is not None
    key, s3 = model.artifact.removeprefix(f"s3://{bucket}/"), source.client("s3")
    for mine in (s3, live.client("s3")):  # each account's root
        with pytest.raises(ClientError, match="AccessDenied"):
            mine.put_object(Bucket=bucket, Key=key, Body=b"exchanged")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    granted = [it["Resource"] for it in json.loads(policy)["Statement"] if CONSUMER in json.dumps(it["Principal"])]
    assert granted == [f"arn:aws:s3:::{bucket}/models/*"]
    content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(body: bytes) -> None:
        """As an administrator of the source can, who takes the policy away."""
        s3.delete_bucket_policy(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256")
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    put(b"exchanged")
    sagemaker = live.client("sagemaker")
    models = sagemaker.list_models()["Models"]
    sagemaker.delete_endpoint(EndpointName=live.stack.endpoint)
    eventually("the endpoint is gone", lambda: endpoint.read_endpoint(live) is None)
    ask_for_deployment(live)
    (notice,) = [notice for notice in received({"artifact-refused"}) if notice["kind"] == "artifact-refused"]
    assert "has another SHA-256" in notice["reason"]
    assert "headrace --env local reject 1" in notice["text"]
    assert endpoint.read_endpoint(live) is None
    assert sagemaker.list_models()["Models"] == models
    put(content)
    ask_for_deployment(live)
    eventually("version 1 is served", lambda: served(live) == 1)


def test_destroying_the_consumer_leaves_nothing_and_the_source_as_it_was(
    source: Environment, live: Environment, images: Images
) -> None:
    bucket = f"cdk-hnb659fds-assets-{CONSUMER}-{REGION}"  # the CDK's own, which stays
    cdk.destroy(live, Output())
    sagemaker = live.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    assert sagemaker.list_models()["Models"] == []
    assert [bus["Name"] for bus in live.client("events").list_event_buses()["EventBuses"]] == ["default"]
    assert live.client("events").list_rules()["Rules"] == []
    assert [item["Name"] for item in live.client("s3").list_buckets()["Buckets"]] == [bucket]
    queues = live.client("sqs").list_queues().get("QueueUrls", [])
    assert [url.rpartition("/")[2] for url in queues] == ["subscriber"]  # this test's own
    assert [
        role["RoleName"] for role in live.client("iam").list_roles()["Roles"] if "headrace" in role["RoleName"]
    ] == []
    (answer,) = endpoint.ask(source, sorted(images.held_out.rglob("*.jpg"))[:1])
    assert answer.error is None
    approve(source, registry.find_model(source, "latest").version)  # `live` is gone: nobody there is notified
    cdk.destroy(source, Output())
    assert (
        source.client("sagemaker").list_model_package_groups(NameContains="headrace")["ModelPackageGroupSummaryList"]
        == []
    )
