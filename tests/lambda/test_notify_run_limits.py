"""Notices about a limit on runs: once a day, for all data sets that it concerns."""

from __future__ import annotations

from typing import Any

import pytest
from notice_world import NoticeWorld


@pytest.fixture
def world() -> NoticeWorld:
    return NoticeWorld()


def reached(**more: Any) -> dict[str, Any]:
    limit = {"data_set": "birds", "setting": "max_runs_per_day", "limit": 50, "free": "2027-01-16 08:00 UTC"}
    return {"headrace": "notice", "kind": "run-limit", **limit, "day": "2027-01-15", **more}


def test_runs_of_a_day_are_told_once_for_all_data_sets(world: NoticeWorld) -> None:
    text, data = world.told(reached())
    assert text.startswith("no run was started on birds: 50 runs in 24 hours is the limit\n")
    assert "headrace --env test redrive" in text
    assert "2027-01-16 08:00 UTC" in text
    assert (data["kind"], data["setting"], data["limit"]) == ("run-limit", "max_runs_per_day", 50)
    assert world.deliver(reached(data_set="boats", free="2027-01-16 09:00 UTC")) == []
    assert len(world.cloud.published) == 1


@pytest.mark.parametrize("other", [{"day": "2027-01-16"}, {"limit": 60}, {"setting": "max_concurrent_runs"}])
def test_another_day_and_another_limit_are_told(world: NoticeWorld, other: dict[str, Any]) -> None:
    world.told(reached())
    assert world.deliver(reached(**other)) == []
    assert len(world.cloud.published) == 2


def test_data_set_that_waits_is_told_without_a_redrive(world: NoticeWorld) -> None:
    text, data = world.told(reached(setting="max_concurrent_runs", limit=1, free=""))
    assert text.startswith("birds waits for its run: 1 run at the same time is the limit\n")
    assert "redrive" not in text
    assert data["kind"] == "run-waits"
