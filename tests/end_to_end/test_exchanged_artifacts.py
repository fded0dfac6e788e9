"""A registered artifact cannot be exchanged by any role of the stack; what an administrator exchanges is not served.

A test names those that it builds on. They act as each role in turn, as somebody could who has code in a job or in a
function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed_app import Deployed, Images, deployment, project_with
from eventually import eventually
from stack_roles import client_of, let_the_account_assume, roles_of

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.environment import Environment
from headrace.client.executions import list_executions, list_steps, read_execution
from headrace.client.serving import ask_for_deployment
from headrace.commands import decision, notices, runs, upload
from headrace.terminal.output import Output

pytestmark = pytest.mark.timeout(600)

QUIET = Output()
OTHER = b"bytes that nobody has approved"


@dataclass(frozen=True, slots=True)
class Registered:
    """An environment with a version that waits for a decision, and clients of each role."""

    environment: Environment
    as_role: Callable[[str, str], Any]
    roles: tuple[str, ...]

    @property
    def bucket(self) -> str:
        return str(self.environment.stack.data_bucket)

    def artifact(self, version: int) -> str:
        """The key."""
        model = registry.find_model(self.environment, str(version))
        assert model.artifact is not None
        return model.artifact.removeprefix(f"s3://{self.bucket}/")

    def decide(self, version: int, approval: str) -> None:
        decision.decide(self.environment, QUIET, version=str(version), approval=approval, note=None)

    def served(self) -> int | None:
        found = endpoint.read_endpoint(self.environment)
        return found.version if found and found.status == "InService" else None

    def notified(self, kind: str) -> list[notices.Notice]:
        return [notice for notice in notices.read_notices(self.environment, 0)[0] if notice.kind == kind]

    def as_administrator(self, change: Callable[[Any], object]) -> None:
        """Change objects past the bucket's policy, as only a principal that may change the policy can."""
        s3 = self.environment.client("s3")
        policy = s3.get_bucket_policy(Bucket=self.bucket)["Policy"]
        s3.delete_bucket_policy(Bucket=self.bucket)
        try:
            change(s3)
        finally:
            s3.put_bucket_policy(Bucket=self.bucket, Policy=policy)

    def queue_is_empty(self) -> bool:
        queue = next(queue for queue in self.environment.stack.queues if queue.name == "decisions")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.environment.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        return all(found["Attributes"][name] == "0" for name in names)

    def look(self) -> None:
        """What EventBridge's schedule sends every hour."""
        queue = next(queue for queue in self.environment.stack.queues if queue.name == "decisions")
        body = json.dumps({"headrace": "periodic-look"})
        self.environment.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body)


def writes(key: str) -> dict[str, Callable[[Any, str], object]]:
    """Each way to change the stored objects."""
    where = {"Key": key}
    return {
        "PutObject": lambda s3, bucket: s3.put_object(Bucket=bucket, **where, Body=OTHER),
        "CopyObject": lambda s3, bucket: s3.copy_object(
            Bucket=bucket, **where, CopySource=f"{bucket}/champions/none/NONE"
        ),
        "CreateMultipartUpload": lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, **where),
        "DeleteObject": lambda s3, bucket: s3.delete_object(Bucket=bucket, **where),
        "DeleteObjects": lambda s3, bucket: _all_deleted(
            s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
        ),
    }


def answer_to(write: Callable[[Any, str], object], s3: Any, bucket: str) -> str:
    try:
        write(s3, bucket)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "done"


def _all_deleted(answer: dict[str, Any]) -> None:
    """DeleteObjects answers 200, with the errors in it."""
    for error in answer.get("Errors", []):
        raise ClientError({"Error": error}, "DeleteObjects")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Iterator[Registered]:
    folder = tmp_path_factory.mktemp("exchanged")
    (folder / "project").mkdir()
    few = folder / "digits"
    for digit in ("3", "7"):
        (few / digit).mkdir(parents=True)
        for source in sorted((images.seen / digit).iterdir())[:20]:
            (few / digit / source.name).write_bytes(source.read_bytes())
    project = project_with(folder / "project", epochs="1", accuracy_threshold="0.0")
    with deployment(folder / "state", project=project) as deployed:
        yield registered(deployed, few)


def registered(deployed: Deployed, few: Path) -> Registered:
    environment = deployed.environment
    roles = roles_of(environment)
    let_the_account_assume(environment, roles.values())
    upload.upload(environment, QUIET, path=few, name=None, delete=False)
    eventually("a version is registered", lambda: registry.list_packages(environment), seconds=200)
    return Registered(environment, partial(client_of, environment, roles), tuple(roles))


@pytest.mark.parametrize("moment", ["before the approval", "while it is served"])
def test_no_role_can_exchange_a_registered_artifact(app: Registered, moment: str) -> None:
    if moment == "while it is served":
        app.decide(1, registry.APPROVED)
        eventually("version 1 is served", lambda: app.served() == 1)
    key = app.artifact(1)
    before = app.environment.client("s3").head_object(Bucket=app.bucket, Key=key)
    others = sorted({*app.roles} - {"StoreModel"})
    assert len(others) > 8
    answers = {
        (role, operation): answer_to(write, app.as_role(role, "s3"), app.bucket)
        for role in others
        for operation, write in writes(key).items()
        # It empties the bucket when the stack is destroyed; a deletion cannot serve other bytes.
        if not (role == "SourceDeployment" and operation.startswith("Delete"))
    }
    assert {tried: answer for tried, answer in answers.items() if answer != "AccessDenied"} == {}
    with pytest.raises(ClientError, match="AccessDenied"):  # even as the account's root
        app.environment.client("s3").put_object(Bucket=app.bucket, Key=key, Body=OTHER)
    after = app.environment.client("s3").head_object(Bucket=app.bucket, Key=key)
    assert (after["ETag"], after["VersionId"]) == (before["ETag"], before["VersionId"])


@pytest.mark.builds_on("test_no_role_can_exchange_a_registered_artifact")
def test_what_jobs_can_still_overwrite_is_not_what_is_served(app: Registered) -> None:
    """Evaluate's copy under runs/ can be exchanged by a job. A restarted endpoint answers as before."""
    s3 = app.as_role("Job", "s3")
    found = app.environment.client("s3").list_objects_v2(Bucket=app.bucket, Prefix="runs/")["Contents"]
    copies = [item["Key"] for item in found if item["Key"].endswith("/evaluate/winner/model.tar.gz")]
    assert copies
    for key in copies:
        s3.put_object(Bucket=app.bucket, Key=key, Body=OTHER)
    sagemaker = app.environment.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=app.environment.stack.endpoint)
    eventually("the endpoint is gone", lambda: endpoint.read_endpoint(app.environment) is None)
    app.decide(1, registry.REJECTED)
    app.decide(1, registry.APPROVED)
    eventually("version 1 is served", lambda: app.served() == 1)
    assert app.notified("artifact-refused") == []


@pytest.mark.builds_on("test_what_jobs_can_still_overwrite_is_not_what_is_served")
def test_an_artifact_that_was_exchanged_before_it_was_stored_fails_the_run(app: Registered) -> None:
    """Evaluate comes from the cache, and its copy is the exchanged one of the test before."""
    key = app.artifact(1)
    app.decide(1, registry.REJECTED)  # another champion would be another evaluation
    app.as_administrator(lambda s3: s3.delete_object(Bucket=app.bucket, Key=key))
    before = {execution.arn for execution in list_executions(app.environment)}
    runs.run_again(app.environment, QUIET, data_set="digits", again=True)

    def new() -> Any:
        return [item for item in list_executions(app.environment) if item.arn not in before]

    (execution,) = eventually("a run has started", new)
    eventually("it has ended", lambda: not read_execution(app.environment, execution.arn).going_on, seconds=200)
    steps = {step.name: step for step in list_steps(app.environment, execution)}
    assert steps["StoreModel"].status == "Failed"
    assert len(registry.list_packages(app.environment)) == 1
    sent = eventually("it is notified", lambda: app.notified("execution-failed"))
    assert "is not the artifact that Evaluate judged" in sent[0].text


@pytest.mark.builds_on("test_an_artifact_that_was_exchanged_before_it_was_stored_fails_the_run")
def test_what_an_administrator_exchanges_is_notified_and_not_deployed(app: Registered) -> None:
    key = app.artifact(1)
    app.as_administrator(lambda s3: s3.put_object(Bucket=app.bucket, Key=key, Body=OTHER))
    app.decide(1, registry.APPROVED)
    (sent,) = eventually("it is notified", lambda: app.notified("artifact-refused"))
    assert "has another SHA-256" in sent.text
    sagemaker = app.environment.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=app.environment.stack.endpoint)
    eventually("the endpoint is gone", lambda: endpoint.read_endpoint(app.environment) is None)
    models = sagemaker.list_models()["Models"]
    for ask in (app.look, app.look, lambda: ask_for_deployment(app.environment)):
        ask()
        eventually("it is handled", app.queue_is_empty)
    assert endpoint.read_endpoint(app.environment) is None
    assert sagemaker.list_models()["Models"] == models
    assert len(app.notified("artifact-refused")) == 1
