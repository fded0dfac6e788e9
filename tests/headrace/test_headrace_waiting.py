"""A data set that waits because as many runs are under way as may be is said to, by `status` and `watch`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError
from scripted_aws import FakeAws
from scripted_cloud import Result
from scripted_sagemaker import FakeSageMaker

from headrace.client import waiting
from headrace.client.environment import Environment
from headrace.client.waiting import find_waiting

Headrace = Callable[..., Result]
WORDS = "birds waits for its run (noted 5 min ago): max_concurrent_runs is 5"


@pytest.fixture
def waits(aws: FakeAws, sagemaker: FakeSageMaker) -> Callable[..., None]:
    def waits(data_set: str, *, until: float = 60) -> None:
        """Noted as by the trigger, for so many more seconds."""
        note = {"data_set": data_set, "setting": "max_concurrent_runs", "limit": 5}
        note |= {"since": time.time() - 300, "until": time.time() + until}
        aws.objects[f"data-bucket/quiet/waiting/{data_set}.json"] = json.dumps(note).encode()

    return waits


def test_status_shows_what_waits_and_no_note_that_has_expired(headrace: Headrace, waits: Callable[..., None]) -> None:
    waits("birds")
    waits("boats", until=-1)
    said = headrace("status").out
    assert WORDS in said
    assert "boats" not in said
    (found,) = json.loads(headrace("status", "--json").out)["waiting"]
    assert (found["data_set"], found["setting"]) == ("birds", "max_concurrent_runs")


def test_status_without_a_data_set_that_waits_has_no_line_of_it(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    assert "waiting" not in headrace("status").out


def test_waiting_for_a_run_reports_that_the_run_has_to_wait(
    headrace: Headrace, sagemaker: FakeSageMaker, waits: Callable[..., None]
) -> None:
    waits("birds")
    for chosen in ([], ["--data-set", "birds"]):
        result = headrace("watch", "--wait-for-start", "0", *chosen)
        assert result.status == 1
        assert f"error: no run started yet; {WORDS}\n" in result.err
        assert "hint: headrace runs   # shows those under way; it is started when one has ended" in result.err
    other = headrace("watch", "--wait-for-start", "0", "--data-set", "boats")
    assert "no run started within 0 s" in other.err


def test_without_permission_to_read_the_notes_the_rest_is_shown(
    environment: Environment, waits: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits("birds")
    assert [found.data_set for found in find_waiting(environment)] == ["birds"]

    def refuse(environment: Environment) -> Iterator[waiting.Waiting]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    monkeypatch.setattr(waiting, "_read", refuse)
    assert find_waiting(environment) == []
