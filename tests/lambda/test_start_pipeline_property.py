"""Whatever the order of uploads, deliveries, duplicates, crashes and faults, each content that came to rest is run."""

from __future__ import annotations

from collections import Counter
from typing import Any

from disturbances import FAULTS, disturb
from fake_aws import Execution
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import some
from worlds import BUCKET, UploadWorld

uploads = st.tuples(st.just("upload"), st.sampled_from(["1.jpg", "2.jpg"]), st.sampled_from(["a", "b"]))
removals = st.tuples(st.just("remove"), st.sampled_from(["1.jpg", "2.jpg"]), st.none())
deliveries = st.tuples(st.just("deliver"), st.integers(0, 3), st.booleans())  # which message; is it kept for another
crashes = st.tuples(st.just("crash"), st.integers(0, 3), st.integers(0, 24))  # which message; at which moment
intrusions = st.tuples(st.just("intrude"), st.integers(0, 3), st.integers(0, 24))
pauses = st.tuples(st.just("wait"), st.sampled_from([61, 61, 400]), st.none())
ends = st.tuples(st.just("end"), st.sampled_from(["Succeeded", "Failed", "Stopped"]), st.none())
redrives = st.tuples(st.just("redrive"), st.none(), st.none())
faults = st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 3), st.integers(0, 24))

quiet = settings(
    max_examples=some(60, thorough=400),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@quiet
@given(st.lists(st.one_of(uploads, removals, deliveries, deliveries, crashes, intrusions, pauses), max_size=14))
def test_each_content_is_run_once_whatever_the_order_of_events(actions: list[Any]) -> None:
    world = after(actions)
    assert set(Counter(map(content_of_run, world.executions())).values()) <= {1}
    assert_at_rest(world)


@quiet
@given(st.lists(st.one_of(uploads, deliveries, faults, faults, crashes, pauses, ends, redrives), max_size=20))
def test_each_content_is_run_once_whatever_the_faults(actions: list[Any]) -> None:
    """Once more only if it has failed, and then for a newer upload only."""
    world = after(actions)
    lasting = [run for run in world.executions() if run.status not in ("Failed", "Stopped")]
    assert set(Counter(map(content_of_run, lasting)).values()) <= {1}
    assert_at_rest(world)
    newest = max(version.modified for version in current(world).values())
    runs = [run for run in world.executions() if contents(world, run.parameters["Fingerprint"]) == content_now(world)]
    assert runs[-1] in lasting or runs[-1].started >= newest


@settings(quiet, max_examples=some(50, thorough=150))
@given(st.lists(st.one_of(uploads, removals, deliveries, deliveries, pauses, ends), max_size=20))
def test_a_data_set_changed_during_its_run_waits(actions: list[Any]) -> None:
    """Without crashes and lost answers, for then nobody may know of the run."""
    world = UploadWorld()

    def watch(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("after", "StartPipelineExecution"):
            assert [run.status for run in world.executions()].count("Executing") == 1

    world.cloud.interrupt = watch
    after(actions, world)


def after(actions: list[Any], world: UploadWorld | None = None) -> UploadWorld:
    """The world when all dead letters have been sent again and the queue is empty."""
    world = world or UploadWorld()
    world.upload("datasets/birds/0.jpg", "always there")
    for action in actions:
        perform(world, *action)
        world.cloud.now += 1
    world.redrive()
    world.settle()
    return world


def perform(world: UploadWorld, action: str, first: Any, second: Any) -> None:
    queue = world.cloud.queue
    message = queue[first % len(queue)] if isinstance(first, int) and queue else None
    match action:
        case "upload":
            world.upload(f"datasets/birds/{first}", second)
        case "remove" if world.cloud.current(BUCKET, f"datasets/birds/{first}"):
            world.remove(f"datasets/birds/{first}")
        case "wait":
            world.cloud.now += first
        case "end" if world.executions() and world.executions()[-1].status == "Executing":
            world.finish(first)
        case "redrive":
            world.redrive()
        case "deliver" if message:
            world.deliver(message, keep=second)
        case "crash" | "intrude" | "throttled" | "failed" | "unanswered" | "denied" | "repeated" if message:
            disturb(world, action, at=second, intrude=upload_and_deliver)
            world.deliver(message)
            world.cloud.interrupt = None


def upload_and_deliver(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg", "intruder")
    world.deliver(world.cloud.queue[-1])


def assert_at_rest(world: UploadWorld) -> None:
    assert contents(world, world.document("manifests/birds/latest.json")["fingerprint"]) == content_now(world)
    assert content_now(world) in [contents(world, fingerprint) for fingerprint in world.fingerprints()]
    assert not world.cloud.keys(BUCKET, "quiet/")
    assert not world.cloud.dead_letters


def content_of_run(execution: Execution) -> tuple[str, str]:
    return execution.definition, execution.parameters["Fingerprint"]


def contents(world: UploadWorld, fingerprint: str) -> list[tuple[str, str]]:
    listed = world.document(f"manifests/birds/{fingerprint}/contents.json")["objects"]
    return [(item["key"], item["checksum"]) for item in listed]


def current(world: UploadWorld) -> dict[str, Any]:
    keys = world.cloud.keys(BUCKET, "datasets/birds/")
    return {key: world.cloud.current(BUCKET, key) for key in keys}


def content_now(world: UploadWorld) -> list[tuple[str, str]]:
    heads = {key: world.cloud.head_object(BUCKET, key, ChecksumMode="ENABLED") for key in current(world)}
    return [(key.rsplit("/")[-1], f"CRC32:{head['ChecksumCRC32']}") for key, head in heads.items()]
