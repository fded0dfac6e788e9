"""Endpoint events in each form that AWS may use for a time and a status: one change is one notice."""

from __future__ import annotations

from typing import Any

import pytest
from notice_world import NoticeWorld
from worlds import event

CHANGED = 1_800_000_600_000  # milliseconds, as in the sample


@pytest.mark.parametrize(
    "form",
    [
        {"LastModifiedTime": CHANGED / 1000},
        {"LastModifiedTime": float(CHANGED)},
        {"LastModifiedTime": CHANGED // 1000},
        {"LastModifiedTime": "2027-01-15T08:10:00Z"},
        {"LastModifiedTime": "2027-01-15T08:10:00.000+00:00"},
        {"EndpointStatus": "Failed"},
    ],
)
def test_the_same_change_in_another_form_is_told_once(form: dict[str, Any]) -> None:
    world = NoticeWorld()
    other = event("endpoint_failed")
    other["detail"] |= form
    _, data = world.told(other)
    assert data["status"] == "FAILED"
    assert world.deliver(event("endpoint_failed")) == []
    assert len(world.cloud.published) == 1, "the sample's form is the same change"


def test_the_status_of_a_rollback_that_failed_is_known_in_both_forms() -> None:
    world = NoticeWorld()
    other = event("endpoint_failed")
    other["detail"]["EndpointStatus"] = "UpdateRollbackFailed"
    _, data = world.told(other)
    assert data["status"] == "UPDATE_ROLLBACK_FAILED"


def test_a_time_that_is_none_is_malformed() -> None:
    world = NoticeWorld()
    other = event("endpoint_failed")
    other["detail"]["LastModifiedTime"] = "yesterday"
    assert world.deliver(other) == []
    (dead,) = world.cloud.dead_letters
    assert "LastModifiedTime 'yesterday', which is not a valid time" in dead.reason
