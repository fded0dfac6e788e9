"""From an upload to a served model in a local cloud that is awkward (docs/awkward.md): all of it happens once.

What a second event, an ISO time, an ARN in small letters or a number as Java writes it would break is on this way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from deployed_app import Deployed, Images, deployment
from received_notices import receive, receive_batch, subscribe

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.executions import list_executions, list_steps, read_execution, wait_for_execution
from headrace.commands import decision, upload
from headrace.terminal.output import Output
from local_cloud.process import AWKWARD

pytestmark = pytest.mark.timeout(600)

LATE_SECONDS = 3.0  # after the first event the second one comes


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(AWKWARD, "1")
        with deployment(tmp_path_factory.mktemp("awkward") / "state") as app:
            yield app


def test_an_upload_becomes_one_run_one_version_and_one_deployment(awkward: Deployed, images: Images) -> None:
    environment, began = awkward.environment, datetime.now(UTC)
    queue = subscribe(environment)
    upload.upload(environment, Output(), path=images.seen, name="digits", delete=False)
    execution = wait_for_execution(environment, after=began, seconds=120, interval=0.3)
    while execution.going_on:
        time.sleep(0.3)
        execution = read_execution(environment, execution.arn)
    assert execution.status == "Succeeded", [(step.name, step.reason) for step in list_steps(environment, execution)]
    notices = receive(environment, queue, until={"approval-needed"}, seconds=120)

    (model,) = registry.list_models(environment)
    decision.decide(environment, Output(), version=str(model.version), approval=registry.APPROVED, note=None)
    served = endpoint.wait_for_endpoint(environment, seconds=240, interval=0.3)
    assert (served.status, served.version) == ("InService", model.version)
    answers = endpoint.ask(environment, sorted(images.held_out.rglob("*.jpg")))
    assert sum(answer.label == answer.file.parent.name for answer in answers) >= 27

    notices += receive(environment, queue, until={"deployed"}, seconds=240)
    until = time.monotonic() + 4 * LATE_SECONDS
    while time.monotonic() < until:  # what a second event would bring
        notices += [notice for _, notice in receive_batch(environment.client("sqs"), queue)]
    assert sorted(notice["kind"] for notice in notices) == ["approval-needed", "deployed"]
    assert [found.arn for found in list_executions(environment)] == [execution.arn]
    assert [found.version for found in registry.list_models(environment)] == [model.version]
    sqs = environment.client("sqs")
    dead = [url for url in sqs.list_queues()["QueueUrls"] if "DeadLetters" in url]
    assert dead
    for url in dead:
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        assert left["ApproximateNumberOfMessages"] == "0", url
