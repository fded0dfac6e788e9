"""max_runs_per_day and max_concurrent_runs: what is beyond them waits or is dead-lettered, and nothing is lost."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from disturbances import disturb
from fake_aws import Crash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import some
from worlds import BUCKET, NAME, QUIET, UploadWorld

from shared.errors import SettingError
from start_pipeline.runs.run_limits import DAY, STARTS, UNCONFIRMED_SECONDS, RunLimits

NAMES = ("birds", "boats", "fish", "cars")


def limited(per_day: int | None = None, concurrent: int | None = None, **more: str) -> UploadWorld:
    given = {"MAX_RUNS_PER_DAY": per_day, "MAX_CONCURRENT_RUNS": concurrent}
    return UploadWorld(**{name: str(limit) for name, limit in given.items() if limit is not None}, **more)


def upload_each(world: UploadWorld, *names: str) -> None:
    """One image each, and one look at each once it is quiet."""
    for name in names:
        world.upload(f"datasets/{name}/1.jpg")
    world.cloud.now += 1
    while message := next((it for it in world.cloud.queue if '"headrace"' not in it.body), None):
        assert world.deliver(message)
    world.cloud.now += QUIET
    for message in list(world.cloud.queue):
        assert world.deliver(message)


def look(world: UploadWorld) -> None:
    """The next looks at the data sets that wait."""
    world.cloud.now = max(world.cloud.now, *(message.due for message in world.cloud.queue))
    for message in list(world.cloud.queue):
        assert world.deliver(message)


def run_of(world: UploadWorld) -> list[str]:
    return [execution.parameters["DataSet"] for execution in world.executions()]


def waiting(world: UploadWorld) -> set[str]:
    return {key.split("/")[-1].removesuffix(".json") for key in world.cloud.keys(BUCKET, "quiet/waiting/")}


# One after another


def test_without_a_limit_nothing_is_counted(world: UploadWorld) -> None:
    upload_each(world, *NAMES)
    assert len(world.executions()) == len(NAMES)
    assert not world.cloud.keys(BUCKET, "ledger/limits/")


def test_upload_beyond_the_runs_of_a_day_is_set_aside_with_what_to_do() -> None:
    world = limited(per_day=2)
    upload_each(world, *NAMES)
    assert run_of(world) == ["birds", "boats"]
    assert [json.loads(letter.body)["data_set"] for letter in world.cloud.dead_letters] == ["fish", "cars"]
    reason = world.cloud.dead_letters[0].reason
    assert "no run is started on fish: 2 runs started in the last 24 hours, and max_runs_per_day is 2" in reason
    assert "hint: wait until 2027-01-16 08:01 UTC, or raise max_runs_per_day in environments.toml" in reason


def test_of_all_that_are_set_aside_on_a_day_people_get_one_notice() -> None:
    """Each refusal sends one; what they say is the same state for `notify`, which passes on the first."""
    world = limited(per_day=1)
    upload_each(world, *NAMES)
    kinds = [notice["kind"] for notice in world.cloud.notices]
    assert kinds == ["run-limit"] * 3
    states = {(notice["setting"], notice["limit"], notice["day"]) for notice in world.cloud.notices}
    assert states == {("max_runs_per_day", 1, "2027-01-15")}
    assert {notice["free"] for notice in world.cloud.notices} == {"2027-01-16 08:01 UTC"}


def test_what_was_set_aside_runs_when_the_day_is_over() -> None:
    world = limited(per_day=2)
    upload_each(world, *NAMES)
    world.cloud.now += DAY - 1
    world.redrive()
    look(world)
    assert run_of(world) == ["birds", "boats"]
    world.cloud.now += 2
    world.redrive()
    look(world)
    assert run_of(world) == list(NAMES)
    assert not world.cloud.dead_letters


def test_upload_beyond_the_runs_at_once_waits_for_the_end_of_one() -> None:
    world = limited(concurrent=2)
    upload_each(world, *NAMES)
    assert run_of(world) == ["birds", "boats"]
    assert not world.cloud.dead_letters
    assert waiting(world) == {"fish", "cars"}
    look(world)
    assert run_of(world) == ["birds", "boats"]
    world.executions()[0].status = "Failed"
    look(world)
    assert run_of(world) == ["birds", "boats", "fish"]
    assert waiting(world) == {"cars"}
    world.settle()
    assert Counter(run_of(world)) == Counter(NAMES)
    assert waiting(world) == set()


def test_waiting_data_set_is_looked_at_once_a_minute_and_sends_one_notice() -> None:
    world = limited(concurrent=1)
    upload_each(world, "birds", "boats")
    for _ in range(5):
        before = world.cloud.now
        look(world)
        assert world.cloud.now - before == QUIET
    assert [(it["kind"], it["data_set"], it["setting"], it["limit"]) for it in world.cloud.notices] == [
        ("run-limit", "boats", "max_concurrent_runs", 1)
    ]
    note = world.document("quiet/waiting/boats.json")
    assert note["since"] < world.cloud.now < note["until"]


def test_limits_hold_over_all_lines_together() -> None:
    world = limited(concurrent=1, LINES=json.dumps({"sea": ["boats", "fish"]}))
    for pipeline in (NAME, f"{NAME}-sea"):
        world.cloud.put(
            BUCKET, f"pipelines/{pipeline}.json", world.cloud.current(BUCKET, f"pipelines/{NAME}.json").body
        )
    upload_each(world, *NAMES)
    assert run_of(world) == ["birds"]
    world.settle()
    assert {execution.pipeline for execution in world.executions()} == {NAME, f"{NAME}-sea"}
    assert Counter(run_of(world)) == Counter(NAMES)


def test_run_that_is_asked_for_by_hand_counts_and_waits() -> None:
    world = limited(concurrent=1)
    upload_each(world, "birds", "boats")
    world.executions()[0].status = "Succeeded"
    look(world)
    assert run_of(world) == ["birds", "boats"]
    world.send({"headrace": "run-again", "data_set": "birds"})
    look(world)
    assert run_of(world) == ["birds", "boats"]
    assert waiting(world) == {"birds"}
    world.settle()
    assert run_of(world) == ["birds", "boats", "birds"]


def test_run_that_is_asked_for_by_hand_beyond_the_runs_of_a_day_is_refused_and_says_so() -> None:
    world = limited(per_day=1)
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.send({"headrace": "run-again", "data_set": "birds", "parameters": {}})
    look(world)
    (letter,) = world.cloud.dead_letters
    assert "no run is started on birds: 1 run started in the last 24 hours" in letter.reason
    assert len(world.executions()) == 1


def test_content_that_has_been_run_needs_no_room() -> None:
    world = limited(per_day=1, concurrent=1)
    world.upload_and_settle("datasets/birds/1.jpg")
    world.upload_and_settle("datasets/birds/1.jpg")
    assert len(world.executions()) == 1
    assert not world.cloud.dead_letters


def test_run_whose_cost_is_refused_takes_no_room() -> None:
    world = limited(per_day=1, MAX_RUN_COST="0.01", PRICES='{"ml.m5.xlarge": 1.0, "ml.g4dn.xlarge": 1.0}')
    upload_each(world, "birds")
    assert world.cloud.dead_letters
    assert not world.cloud.keys(BUCKET, "ledger/limits/")


def test_lower_limit_counts_what_was_started_under_the_higher_one() -> None:
    world = limited(per_day=4)
    upload_each(world, "birds", "boats", "fish")
    world.environment = replace(world.environment, limits=RunLimits(per_day=2))
    world.cloud.now += 600
    upload_each(world, "cars")
    assert len(world.executions()) == 3
    assert "3 runs started in the last 24 hours, and max_runs_per_day is 2" in world.cloud.dead_letters[0].reason


def test_run_of_more_than_a_day_still_takes_room() -> None:
    world = limited(concurrent=1)
    upload_each(world, "birds")
    world.cloud.now += 2 * DAY
    upload_each(world, "boats")
    assert run_of(world) == ["birds"]


def test_list_of_starts_does_not_grow_beyond_a_day() -> None:
    world = limited(per_day=100, concurrent=2)
    for number in range(12):
        world.upload_and_settle(f"datasets/set-{number}/1.jpg")
        world.cloud.now += DAY / 4
        world.finish("Succeeded")
    assert len(world.executions()) == 12
    assert len(world.document(STARTS)["starts"]) <= 5


def test_start_that_nobody_completes_takes_room_for_an_hour_alone() -> None:
    world = limited(concurrent=1)
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET

    def crash(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "StartPipelineExecution"):
            raise Crash

    world.cloud.interrupt = crash
    assert not world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    world.cloud.queue.clear()  # nobody comes again
    upload_each(world, "boats")
    assert run_of(world) == []
    world.cloud.now += UNCONFIRMED_SECONDS
    look(world)
    assert run_of(world) == ["boats"]


@pytest.mark.parametrize("value", ["0", "-1", "many", "1001", "1.5", ""])
@pytest.mark.parametrize("name", ["MAX_RUNS_PER_DAY", "MAX_CONCURRENT_RUNS"])
def test_limit_is_a_whole_number_from_1(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        RunLimits.from_variables({name: value})


@pytest.mark.parametrize("point", range(32))
@pytest.mark.parametrize("limit", ["per_day", "concurrent"])
@pytest.mark.parametrize("before", [[], ["fish"]], ids=["the first starts", "the next starts"])
def test_of_two_workers_at_once_one_sees_the_other(limit: str, before: list[str], point: int) -> None:
    """The second does all of its work between any two calls of the first, on another data set."""
    world = limited(**{limit: len(before) + 1})
    upload_each(world, *before)
    for name in ("birds", "boats"):
        world.upload(f"datasets/{name}/1.jpg")
        world.deliver(world.cloud.queue[-1])
        world.cloud.now += 1
    world.cloud.now += QUIET
    birds, boats = world.cloud.queue
    calls = iter(range(1_000))

    def interleave(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if moment == "before" and next(calls) == point:
            world.cloud.interrupt = None
            assert world.deliver(boats)

    world.cloud.interrupt = interleave
    assert world.deliver(birds)
    world.cloud.interrupt = None
    if boats in world.cloud.queue:  # it came to no call of that number
        assert world.deliver(boats)
    assert len(world.executions()) == len(before) + 1
    world.cloud.now += DAY
    world.redrive()
    world.settle()
    assert Counter(run_of(world)) == Counter([*before, "birds", "boats"])


def test_others_that_start_again_and_again_only_put_it_off() -> None:
    world = limited(per_day=10)
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now += QUIET

    def change(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "PutObject") and parameters["Key"] == STARTS:
            others = {"starts": [["other", world.cloud.now, None, False]], "change": next(numbers)}
            world.cloud.put(BUCKET, STARTS, json.dumps(others).encode())

    numbers = iter(range(1_000))
    world.cloud.interrupt = change
    assert world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    assert not world.executions()
    (again,) = world.cloud.queue
    assert again.due == world.cloud.now + 5
    world.settle()
    assert run_of(world) == ["birds"]


# In any order

uploads = st.tuples(st.just("upload"), st.sampled_from(NAMES[:3]), st.sampled_from("ab"))
deliveries = st.tuples(st.just("deliver"), st.integers(0, 5), st.booleans())  # which message; is it kept for another
pauses = st.tuples(st.just("wait"), st.sampled_from([61, 61, 90]), st.none())
ends = st.tuples(st.just("end"), st.sampled_from(["Succeeded", "Failed"]), st.none())
again = st.tuples(st.just("again"), st.sampled_from(NAMES[:3]), st.none())
days = st.tuples(st.just("day"), st.none(), st.none())
disturbances = st.tuples(
    st.sampled_from(["crash", "unanswered", "failed", "throttled", "intrude"]), st.integers(0, 5), st.integers(0, 40)
)
usual = st.one_of(uploads, uploads, deliveries, deliveries, deliveries, pauses, ends, again)
quiet = settings(
    max_examples=some(25, thorough=120),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@quiet
@given(st.lists(st.one_of(usual, days), max_size=24), st.integers(1, 3), st.integers(1, 2))
def test_limits_hold_in_any_order(actions: list[Any], per_day: int, concurrent: int) -> None:
    after(actions, per_day, concurrent)


@quiet
@given(st.lists(st.one_of(usual, disturbances, disturbances), max_size=20), st.integers(1, 3), st.integers(1, 2))
def test_limits_hold_whatever_the_faults(actions: list[Any], per_day: int, concurrent: int) -> None:
    after(actions, per_day, concurrent)


def after(actions: list[Any], per_day: int, concurrent: int) -> None:
    world = limited(per_day=per_day, concurrent=concurrent)
    for name in NAMES[:3]:
        world.upload(f"datasets/{name}/0.jpg")
    for action in actions:
        perform(world, *action)
        world.cloud.now += 1
        assert_within(world, per_day, concurrent)
    come_to_rest(world, per_day, concurrent)
    assert not world.cloud.keys(BUCKET, "quiet/")
    for name in NAMES[:3]:
        runs = [run for run in world.executions() if run.parameters["DataSet"] == name]
        latest = world.document(f"manifests/{name}/latest.json")["fingerprint"]
        assert latest in [run.parameters["Fingerprint"] for run in runs], f"{name} was lost"


def perform(world: UploadWorld, action: str, first: Any, second: Any) -> None:
    queue = world.cloud.queue
    message = queue[first % len(queue)] if isinstance(first, int) and queue else None
    under_way = [run for run in world.executions() if run.status == "Executing"]
    match action:
        case "upload":
            world.upload(f"datasets/{first}/1.jpg", second)
        case "wait":
            world.cloud.now += first
        case "day":
            world.cloud.now += DAY
            world.redrive()
        case "end" if under_way:
            under_way[0].status = first
        case "again":
            world.send({"headrace": "run-again", "data_set": first})
        case "deliver" if message:
            world.deliver(message, keep=second)
        case "crash" | "unanswered" | "failed" | "throttled" | "intrude" if message:
            disturb(world, action, at=second, intrude=deliver_newest_again)
            world.deliver(message)
            world.cloud.interrupt = None


def deliver_newest_again(world: UploadWorld) -> None:
    world.deliver(world.cloud.queue[-1], keep=True)


def assert_within(world: UploadWorld, per_day: int, concurrent: int) -> None:
    assert sum(run.status == "Executing" for run in world.executions()) <= concurrent
    starts = sorted(run.started for run in world.executions())
    assert all(later - earlier >= DAY for earlier, later in zip(starts, starts[per_day:], strict=False))


def come_to_rest(world: UploadWorld, per_day: int, concurrent: int) -> None:
    """Deliver all, and send the dead letters again each day, until nothing is left."""
    for _ in range(3_000):
        if not world.cloud.queue:
            if not world.cloud.dead_letters:
                return
            world.cloud.now += DAY
            world.redrive()
        message = min(world.cloud.queue, key=lambda message: message.due)
        world.cloud.now = max(world.cloud.now, message.due)
        world._end_executions()
        world.deliver(message)
        assert_within(world, per_day, concurrent)
    raise AssertionError(f"it never comes to rest: {world.cloud.queue[:3]}, {world.cloud.dead_letters[:3]}")
