"""InService does not prove that the model answers: a request is sent before people are notified that it is deployed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from worlds import NAME, DeployWorld

import known_answer
import summary
from deploy_model import probe
from deploy_model.decision import MAX_PROBES
from inference import input_fn


def deploy(
    registry: DeployWorld, version: int, *, status: int | None = None, answers_after: int | None = None,
    recorded: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Approves the version and lets all come to rest; its model answers with `status`, and after some probes well."""

    def break_it(when: str, name: str, parameters: dict[str, Any]) -> None:
        if when == "after" and name == "CreateEndpointConfig" and status:
            registry.cloud.broken[parameters["EndpointConfigName"]] = status
        if name == "InvokeEndpoint" and registry.cloud.names().count("InvokeEndpoint") == answers_after:
            registry.cloud.broken.clear()

    registry.cloud.interrupt = break_it
    approved = registry.decide(version, "Approved")
    for package in registry.cloud.packages.values():
        if package["version"] == version:
            package["recorded"] |= recorded or {}
    assert registry.deliver(approved) == []
    registry.settle()
    registry.cloud.interrupt = None


def kinds(registry: DeployWorld) -> list[str]:
    return [notice["kind"] for notice in registry.cloud.notices]


@pytest.mark.parametrize("status", [500, 503])
def test_a_model_that_answers_nothing_is_replaced_by_the_former_one(registry: DeployWorld, status: int) -> None:
    deploy(registry, 1)
    former = registry.cloud.endpoints[NAME]["EndpointConfigName"]
    deploy(registry, 2, status=status)
    told, back = registry.cloud.notices
    assert (told["kind"], told["version"]) == ("deployed", 1)
    assert (back["kind"], back["version"], back["serving"]) == ("rolled-back", 2, former)
    assert back["reason"] == f"its model answers a request with {status}: no worker"
    assert registry.served().endswith("/1")
    assert registry.cloud.names().count("UpdateEndpoint") == 2
    assert registry.cloud.names().count("InvokeEndpoint") == 1 + MAX_PROBES


def test_it_is_not_tried_again_by_itself_but_when_it_is_approved_again(registry: DeployWorld) -> None:
    deploy(registry, 1)
    deploy(registry, 2, status=503)
    assert registry.deliver({"headrace": "look-again", "count": 0}, {"headrace": "periodic-look"}) == []
    registry.settle()
    assert kinds(registry) == ["deployed", "rolled-back"]
    assert registry.served().endswith("/1")
    registry.cloud.broken.clear()
    deploy(registry, 2)
    assert kinds(registry) == ["deployed", "rolled-back", "deployed"]
    assert registry.served().endswith("/2")


def test_a_model_has_time_to_load(registry: DeployWorld) -> None:
    deploy(registry, 1, status=503, answers_after=MAX_PROBES)
    assert kinds(registry) == ["deployed"]


def test_without_a_former_configuration_people_are_told_that_the_endpoint_answers_nothing(
    registry: DeployWorld,
) -> None:
    deploy(registry, 1, status=500)
    (notice,) = registry.cloud.notices
    assert (notice["kind"], notice["status"]) == ("endpoint-failed", "InService")
    assert notice["reason"] == "its model answers a request with 500: no worker"
    assert registry.cloud.queue == []


def test_a_refused_request_is_an_answer(registry: DeployWorld, logged: Any) -> None:
    """The model may be one for other requests than images."""
    deploy(registry, 1, status=400)
    assert kinds(registry) == ["deployed"]


def test_the_probe_is_an_image_that_our_handlers_take() -> None:
    assert Image.open(io.BytesIO(probe.IMAGE)).size == (2, 2)
    (image,) = input_fn(probe.IMAGE, "image/png").images
    assert not isinstance(image, Exception)


@pytest.mark.parametrize("answer", [b"", b"[]", b"owl", b'{"predictions": []}', b'{"predictions": ["owl"]}'])
def test_an_answer_without_a_prediction_is_known(answer: bytes) -> None:
    assert probe._prediction(answer) is None


def test_the_image_and_the_digest_are_those_of_evaluate() -> None:
    assert probe.IMAGE == known_answer.IMAGE
    names = ["Meise, große", "owl", "zaunkönig"]
    assert probe._digest(names) == summary.digest(names)


RECORDED = {"ClassesDigest": summary.digest(["jay", "owl"]), "ProbeAnswer": "1 0.9731"}


@pytest.mark.parametrize(
    ("probabilities", "reason"),
    [
        ({"owl": 0.9720, "jay": 0.0280}, None),
        ({}, None),  # a label alone
        ({"owl": 0.6, "jay": 0.4}, "its model gives owl the probability 0.6 for an image for which Evaluate recorded"),
        ({"owl": float("nan"), "jay": 0.0}, "its model gives owl the probability nan"),
        ({"owl": 0.9731, "kite": 0.0269}, "its model knows other classes than its version records: kite, owl"),
        ({"jay": 0.9731, "owl": 0.0269}, "its model gives owl the probability 0.0269"),
    ],
)
def test_an_answer_is_compared_with_the_recorded_one(probabilities: dict[str, float], reason: str | None) -> None:
    found = probe._other_answer(probabilities, RECORDED)
    assert (found is None) if reason is None else (found or "").startswith(reason)


@pytest.mark.parametrize("recorded", [{}, {"ProbeAnswer": "none"}, {"ClassesDigest": RECORDED["ClassesDigest"]}])
def test_a_version_without_the_record_is_asked_for_any_answer(recorded: dict[str, str]) -> None:
    assert probe._other_answer({"jay": 0.1, "owl": 0.9}, recorded) is None


def test_a_model_that_answers_otherwise_is_replaced_by_the_former_one(registry: DeployWorld) -> None:
    deploy(registry, 1)
    former = registry.cloud.endpoints[NAME]["EndpointConfigName"]
    registry.cloud.probabilities = {"jay": 0.9, "owl": 0.1}
    deploy(registry, 2, recorded=RECORDED)
    _, back = registry.cloud.notices
    assert (back["kind"], back["version"], back["serving"]) == ("rolled-back", 2, former)
    assert back["reason"].startswith("its model gives owl the probability 0.1 for an image for which")
    assert registry.served().endswith("/1")
