"""Whatever the order of uploads, deliveries, duplicates and crashes, each content that came to rest is run once."""

from __future__ import annotations

from typing import Any

from fake_aws import Crash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import BUCKET, UploadWorld

uploads = st.tuples(st.just("upload"), st.sampled_from(["1.jpg", "2.jpg"]), st.sampled_from(["a", "b"]))
removals = st.tuples(st.just("remove"), st.sampled_from(["1.jpg", "2.jpg"]), st.none())
deliveries = st.tuples(st.just("deliver"), st.integers(0, 3), st.booleans())  # which message; is it kept for another
crashes = st.tuples(st.just("crash"), st.integers(0, 3), st.integers(0, 24))  # which message; at which moment
intrusions = st.tuples(st.just("intrude"), st.integers(0, 3), st.integers(0, 24))
pauses = st.tuples(st.just("wait"), st.sampled_from([61, 61, 400]), st.none())


@settings(
    max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(st.one_of(uploads, removals, deliveries, deliveries, crashes, intrusions, pauses), max_size=14))
def test_each_content_is_run_once_whatever_the_order_of_events(actions: list[Any]) -> None:
    world = UploadWorld()
    world.upload("datasets/birds/0.jpg", "always there")
    for action in actions:
        perform(world, *action)
        world.cloud.now += 1
    world.settle()
    runs = [(execution.definition, execution.parameters["Fingerprint"]) for execution in world.executions()]
    assert len(runs) == len(set(runs))
    assert content_of(world, world.document("manifests/birds/latest.json")["fingerprint"]) == content_now(world)
    assert content_now(world) in [content_of(world, fingerprint) for fingerprint in world.fingerprints()]
    assert not world.cloud.keys(BUCKET, "quiet/")


def perform(world: UploadWorld, action: str, first: Any, second: Any) -> None:
    queue = world.cloud.queue
    message = queue[first % len(queue)] if isinstance(first, int) and queue else None
    calls = iter(range(1_000))

    def interrupt(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if next(calls) == second:
            world.cloud.interrupt = None
            if action == "crash":
                raise Crash
            world.upload("datasets/birds/1.jpg", "intruder")
            world.deliver(queue[-1])

    match action:
        case "upload":
            world.upload(f"datasets/birds/{first}", second)
        case "remove" if world.cloud.current(BUCKET, f"datasets/birds/{first}"):
            world.remove(f"datasets/birds/{first}")
        case "wait":
            world.cloud.now += first
        case "deliver" if message:
            world.deliver(message, keep=second)
        case "crash" | "intrude" if message:
            world.cloud.interrupt = interrupt
            world.deliver(message)
            world.cloud.interrupt = None


def content_of(world: UploadWorld, fingerprint: str) -> list[tuple[str, int]]:
    contents = world.document(f"manifests/birds/{fingerprint}/contents.json")["objects"]
    return [(item["key"], item["checksum"]) for item in contents]


def content_now(world: UploadWorld) -> list[tuple[str, int]]:
    keys = world.cloud.keys(BUCKET, "datasets/birds/")
    heads = [world.cloud.head_object(BUCKET, key, ChecksumMode="ENABLED") for key in keys]
    return [(key.rsplit("/")[-1], f"CRC32:{head['ChecksumCRC32']}") for key, head in zip(keys, heads, strict=True)]
