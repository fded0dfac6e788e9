"""Faults of SageMaker and the end of the function's process, at any moment: 20 uploads are 20 executions."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from deployed_app import deployment, project_with
from real_trigger import RealTrigger

pytestmark = pytest.mark.timeout(600)

UPLOADS = 20

# boto3 asks five times, so a message fails for a throttled or failed call only after five of them in a row.
FAULTS = {
    "throttled": ('operation = "StartPipelineExecution"\nkind = "throttle"\ntimes = 12',),
    "failed": ('operation = "StartPipelineExecution"\nkind = "error"\ntimes = 12',),
    "unavailable": ('operation = "*"\nkind = "error"\ncode = "ServiceUnavailable"\nevery = 2\ntimes = 30',),
    "hanging": ('operation = "StartPipelineExecution"\nkind = "slow"\nseconds = 25\ntimes = 2',),
    "unanswered": ('operation = "StartPipelineExecution"\nkind = "lost-answer"\ntimes = 12',),
    "created-unanswered": ('operation = "CreatePipeline"\nkind = "lost-answer"\ntimes = 6',),
    "updated-unanswered": ('operation = "UpdatePipeline"\nkind = "lost-answer"\ntimes = 6',),
    "all-unanswered": ('operation = "*"\nkind = "lost-answer"\nevery = 2\ntimes = 40',),
}


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTrigger]:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "project").mkdir()
    project = project_with(folder / "project", max_runs_per_day="1000", max_concurrent_runs="1000")
    with deployment(folder / "state", project=project) as deployed:
        yield RealTrigger(deployed)


def upload(trigger: RealTrigger, name: str) -> dict[str, int]:
    """Twenty data sets, whatever happens to them; how often each is to be run."""
    trigger.put_all(f"datasets/{name}-{number}/1.jpg" for number in range(UPLOADS))
    trigger.settle(seconds=400)
    trigger.set_faults()
    if trigger.dead_letters():
        trigger.redrive()
    return {f"{name}-{number}": 1 for number in range(UPLOADS)}


@pytest.mark.parametrize("name", FAULTS)
def test_twenty_uploads_are_twenty_executions(trigger: RealTrigger, name: str) -> None:
    if name == "created-unanswered":
        trigger.client("sagemaker").delete_pipeline(PipelineName=trigger.deployed.environment.stack.pipeline)
    struck = trigger.log().count("is struck by")
    trigger.set_faults(*FAULTS[name])
    trigger.define(name)
    assert upload(trigger, name) == trigger.count_runs(name + "-")
    assert trigger.log().count("is struck by") > struck


@contextmanager
def killings(trigger: RealTrigger) -> Iterator[None]:
    """Kill the function's processes again and again, at random moments."""
    chance, over = random.Random(2), threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(0.5, 5.0)):
            for process in trigger.processes():
                os.kill(int(process.name), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def short_visibility(trigger: RealTrigger) -> Iterator[None]:
    """What a killed process had in hand comes again after 6 s, not after 720."""
    sqs, url = trigger.client("sqs"), trigger.queue_url
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "6"})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.mark.usefixtures("short_visibility")
def test_a_function_killed_midway_loses_and_doubles_nothing(
    trigger: RealTrigger, figure: Callable[[str], None]
) -> None:
    """Every call is slowed down, so that most moments are in the middle of the work."""
    trigger.define("Killed")
    cut_off = trigger.log().count("failed processing SQS batch")
    trigger.set_faults('operation = "*"\nkind = "slow"\nseconds = 0.05')
    with killings(trigger):
        trigger.put_all(f"datasets/killed-{number}/1.jpg" for number in range(UPLOADS))
        time.sleep(30)
    cut_off = trigger.log().count("failed processing SQS batch") - cut_off
    figure(f"kills: {cut_off} batches cut off, {trigger.dead_letters()} messages dead-lettered and sent again")
    assert upload(trigger, "killed") == trigger.count_runs("killed-")
    assert cut_off >= 3


def test_content_that_returns_is_not_run_again_nor_is_a_late_duplicate(trigger: RealTrigger) -> None:
    trigger.define("Returning")
    for content in "aba":
        trigger.put("datasets/returning/1.jpg", content)
        trigger.settle()
    assert trigger.count_runs("returning") == {"returning": 2}
    trigger.notify("datasets/returning/1.jpg")
    trigger.settle()
    assert trigger.count_runs("returning") == {"returning": 2}


def test_a_failed_run_is_run_again_for_an_upload_and_not_for_a_late_duplicate(trigger: RealTrigger) -> None:
    trigger.define("Failing", ends_well=False)
    trigger.put("datasets/failing/1.jpg")
    trigger.settle()
    trigger.notify("datasets/failing/1.jpg")
    trigger.settle()
    assert trigger.count_runs("failing") == {"failing": 1}
    trigger.put("datasets/failing/1.jpg")
    trigger.settle()
    assert trigger.count_runs("failing") == {"failing": 2}
