"""10,000 objects, their events doubled and out of order, through the real S3, SQS and Lambda: one execution."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from deployed_app import deployment, project_with
from real_trigger import RealTrigger

pytestmark = pytest.mark.timeout(900)

OBJECTS = 10_000
DISTURBED = 2_000  # events that are held back, so that later ones overtake them, and that come a second time
QUIET_SECONDS = 60  # as in dev; 10,000 questions for a checksum come after it
HELD_BACK = (40, 70)  # seconds; less, and the other reader would soon receive the same ones again
LATEST_COPY = 180  # seconds: some come when the execution has started


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTrigger]:
    folder = tmp_path_factory.mktemp("storm")
    (folder / "project").mkdir()
    with deployment(
        folder / "state", project=project_with(folder / "project", quiet_seconds=str(QUIET_SECONDS))
    ) as deployed:
        trigger = RealTrigger(deployed)
        trigger.define("Nothing")
        yield trigger


@contextmanager
def disturbance(trigger: RealTrigger) -> Iterator[None]:
    """Another reader of the queue: what it receives is hidden for a while, and it sends a copy of it."""
    chance, over = random.Random(4), threading.Event()
    sqs, url = trigger.client("sqs"), trigger.queue_url
    seen: set[str] = set()

    def disturb() -> None:
        while len(seen) < DISTURBED and not over.is_set():
            held = chance.randint(*HELD_BACK)
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=held)
            copies = [
                {
                    "Id": message["MessageId"],
                    "MessageBody": message["Body"],
                    "DelaySeconds": chance.randrange(LATEST_COPY),
                }
                for message in answer.get("Messages", [])
                if "birds" in message["Body"] and message["MessageId"] not in seen
            ]
            if copies:
                seen.update(copy["Id"] for copy in copies)
                sqs.send_message_batch(QueueUrl=url, Entries=copies)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
        thread.join(timeout=60)
    finally:
        over.set()
        thread.join()
    assert len(seen) >= DISTURBED, "the function was faster: too few events were disturbed"


def test_each_data_set_of_a_storm_is_run_once(trigger: RealTrigger, figure: Callable[[str], None]) -> None:
    trigger.put("datasets/signs.zip")
    trigger.put_all(f"datasets/boats/{number}.jpg" for number in range(100))
    with disturbance(trigger):
        last_put = trigger.put_all(f"datasets/birds/{number % 10}/{number}.jpg" for number in range(OBJECTS))
    trigger.settle(seconds=600)
    started = trigger.start_of("birds")
    figure(
        f"storm: {OBJECTS:,} objects, {DISTURBED:,} of their events held back and doubled: started "
        f"{started - last_put:.1f} s after the last PUT (quiet period {QUIET_SECONDS} s); the function's peak memory "
        f"{trigger.peak_memory()} MB"
    )
    assert trigger.count_runs("") == {"birds": 1, "boats": 1, "signs-zip": 1}
    assert trigger.start_of("signs-zip") < started
    assert trigger.start_of("boats") < started
    assert last_put < started
    assert len(trigger.documents("manifests/birds/latest.json")[0]["objects"]) == OBJECTS
    assert trigger.dead_letters() == 0


def test_a_deletion_is_noticed(trigger: RealTrigger) -> None:
    """The earlier events are known: the trigger is notified only of the deletion, and reads no checksum again."""
    trigger.client("s3").delete_object(Bucket=trigger.bucket, Key="datasets/birds/7/7.jpg")
    trigger.settle()
    assert trigger.count_runs("birds") == {"birds": 2}
    (latest,) = trigger.documents("manifests/birds/latest.json")
    assert len(latest["objects"]) == OBJECTS - 1
