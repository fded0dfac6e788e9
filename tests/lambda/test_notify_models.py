"""Notices of a model that waits for approval: what it is worth, and what approving it changes."""

from __future__ import annotations

import pytest
from notice_world import EXECUTION, NoticeWorld
from worlds import NAME


@pytest.fixture
def world() -> NoticeWorld:
    return NoticeWorld()


def test_a_waiting_model_is_told_with_its_figures_and_how_to_approve(world: NoticeWorld) -> None:
    world.cloud.recorded[world.cloud.register(NAME, 3, "Approved")] = {"Accuracy": "0.95"}
    text, data = world.told(world.waits(4, Accuracy="0.97", DataSet="birds", Improvement="0.02"))
    assert text.startswith(f"version 4 of {NAME} waits for approval\n")
    assert "accuracy on the test set: 0.97" in text
    assert "champion, the newest approved version: version 3, accuracy 0.95" in text
    assert "better than the champion by: 0.02" in text
    assert "headrace --env test approve 4" in text
    assert f"--model-package-arn {data['model_package']} --model-approval-status Approved" in text
    assert (data["accuracy"], data["data_set"], data["execution"]) == (0.97, "birds", EXECUTION)
    assert data["champion"] == {"version": 3, "accuracy": 0.95}


def test_a_waiting_model_is_told_with_its_comparison_classes_and_warnings(world: NoticeWorld) -> None:
    serving = {"Accuracy": "0.95", "Classes": "2: cat / dog", "ClassesDigest": "1"}
    world.cloud.recorded[world.cloud.register(NAME, 3, "Approved")] = serving
    reason = "not compared with champion version 3: its artifact was deleted"
    recorded = {"Accuracy": "0.97", "Improvement": "0.97", "Comparison": reason, "Classes": "3: bird / cat / dog"}
    waiting = world.waits(4, **recorded, ClassesDigest="2", Warnings="the classes are imbalanced")
    text, data = world.told(waiting)
    assert f"comparison: {reason}\n" in text
    assert "better than the champion" not in text
    assert "classes: 3: bird / cat / dog\nother classes than version 3 has: 2: cat / dog\n" in text
    assert "warning: the classes are imbalanced\n" in text
    assert (data["comparison"], data["classes"]) == (reason, "3: bird / cat / dog")


@pytest.mark.parametrize(
    ("what", "status", "headline"),
    [
        ("missing", "Absent", f"there is no endpoint {NAME}, though version 4 is approved"),
        ("foreign", "InService", f"the endpoint {NAME} serves something that is not of the registry"),
        ("older", "InService", f"the endpoint {NAME} serves an older approved version than 4"),
        (
            "configuration",
            "InService",
            f"the endpoint {NAME} serves version 4 with other settings than the environment",
        ),
        ("unapproved", "InService", f"the endpoint {NAME} serves a version, and none is approved"),
        ("withdrawn", "InService", f"the endpoint {NAME} serves a version that was rejected or deleted"),
        ("failed", "Failed", f"the endpoint {NAME} is Failed and answers nobody"),
        ("of a later release", "InService", f"the endpoint {NAME} is not as wanted"),
    ],
)
def test_each_difference_of_the_endpoint_is_told_in_words(
    world: NoticeWorld, what: str, status: str, headline: str
) -> None:
    event = {"headrace": "notice", "kind": "endpoint-differs", "endpoint": NAME, "what": what, "status": status,
             "serving": "one", "wanted": "another", "version": 4, "repaired": False}  # fmt: skip
    text, data = world.told(event)
    assert text.startswith(headline)
    assert (data["what"], data["status"], data["serving"], data["wanted"]) == (what, status, "one", "another")
