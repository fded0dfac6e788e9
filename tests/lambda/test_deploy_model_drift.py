"""The periodic look: what differs twice is reported, and repaired only where no person can have wished for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aws import Refused
from worlds import NAME, DeployWorld

from notify.messages import EndpointDiffers, parse

LOOK = {"headrace": "periodic-look"}
CHANGES = {"CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint"}


@pytest.fixture
def serving(registry: DeployWorld) -> DeployWorld:
    """Versions 1 and 2 are approved, and 2 is served."""
    for version in (1, 2):
        assert registry.deliver(registry.decide(version, "Approved")) == []
        registry.settle()
    registry.cloud.calls.clear()
    registry.cloud.notices.clear()
    return registry


def look(registry: DeployWorld) -> list[dict[str, Any]]:
    """The schedule's message, and the second look if there is one; the notices of differences."""
    registry.cloud.notices.clear()
    assert registry.deliver(LOOK) == []
    while registry.cloud.queue:
        registry.look()
    return [notice for notice in registry.cloud.notices if notice["kind"] == "endpoint-differs"]


def configuration_of(registry: DeployWorld, version: int) -> str:
    return next(name for name in registry.cloud.configurations if name.startswith(f"{NAME}-v{version}-"))


def changes(registry: DeployWorld) -> set[str]:
    return set(registry.cloud.names()) & CHANGES


def test_an_endpoint_as_wanted_is_left_alone_and_nobody_is_told(serving: DeployWorld) -> None:
    assert look(serving) == []
    assert changes(serving) == set()


def test_nothing_approved_and_no_endpoint_is_as_wanted(registry: DeployWorld) -> None:
    assert look(registry) == []


def test_a_deleted_endpoint_is_told_and_not_made_again(serving: DeployWorld) -> None:
    """People delete endpoints to stop paying for them."""
    del serving.cloud.endpoints[NAME]
    (told,) = look(serving)
    assert (told["what"], told["version"], told["repaired"]) == ("missing", 2, False)
    assert changes(serving) == set()
    assert NAME not in serving.cloud.endpoints


def test_a_difference_is_told_only_when_a_second_look_finds_it_too(serving: DeployWorld) -> None:
    endpoint = serving.cloud.endpoints.pop(NAME)
    assert serving.deliver(LOOK) == []
    (message,) = serving.cloud.queue
    assert message.due - serving.cloud.now == 900
    serving.cloud.endpoints[NAME] = endpoint
    serving.look()
    assert serving.cloud.notices == []
    assert serving.cloud.queue == []


def test_another_difference_at_the_second_look_is_looked_at_once_more(serving: DeployWorld) -> None:
    endpoint = serving.cloud.endpoints.pop(NAME)
    assert serving.deliver(LOOK) == []
    serving.cloud.endpoints[NAME] = endpoint | {"EndpointConfigName": configuration_of(serving, 1)}
    serving.look()
    assert serving.cloud.notices == []
    serving.look()
    assert [notice["what"] for notice in serving.cloud.notices] == ["older"]


@pytest.mark.parametrize(
    ("configuration", "what"),
    [("somebody-elses", "foreign"), (f"{NAME}-v2-00000000", "configuration"), ("v1", "older")],
)
def test_an_endpoint_moved_by_hand_is_told_and_stays_as_it_is(
    serving: DeployWorld, configuration: str, what: str
) -> None:
    moved = configuration_of(serving, 1) if configuration == "v1" else configuration
    serving.cloud.endpoints[NAME]["EndpointConfigName"] = moved
    (told,) = look(serving)
    assert (told["what"], told["serving"], told["repaired"]) == (what, moved, False)
    assert changes(serving) == set()


@pytest.mark.parametrize("how", ["deleted", "rejected"])
def test_a_served_version_that_nobody_may_serve_any_more_gives_way_to_the_approved_one(
    serving: DeployWorld, how: str
) -> None:
    (arn,) = [arn for arn, package in serving.cloud.packages.items() if package["version"] == 2]
    if how == "deleted":
        del serving.cloud.packages[arn]
    else:
        serving.cloud.packages[arn]["approval"] = "Rejected"  # and its event was lost
    serving.cloud.notices.clear()
    assert serving.deliver(LOOK) == []
    serving.settle()
    assert serving.served().endswith("/1")
    kinds = [notice["kind"] for notice in serving.cloud.notices]
    assert kinds == ["endpoint-differs", "deployed"]
    assert (serving.cloud.notices[0]["what"], serving.cloud.notices[0]["repaired"]) == ("withdrawn", True)


def test_without_any_approved_version_the_endpoint_goes_on_and_people_are_told(serving: DeployWorld) -> None:
    serving.cloud.packages.clear()
    (told,) = look(serving)
    assert (told["what"], told["version"]) == ("unapproved", 0)
    assert changes(serving) == set()


def test_a_failed_endpoint_is_made_again(serving: DeployWorld) -> None:
    serving.cloud.endpoints[NAME]["EndpointStatus"] = "Failed"
    assert serving.deliver(LOOK) == []
    serving.settle()
    assert serving.cloud.endpoints[NAME]["EndpointStatus"] == "InService"
    assert serving.served().endswith("/2")


@pytest.mark.parametrize("status", ["Failed", "InService"])
def test_a_champion_that_was_rolled_back_is_not_tried_again(serving: DeployWorld, status: str) -> None:
    assert serving.deliver(serving.decide(3, "Approved")) == []
    serving.roll_back()
    while serving.cloud.queue:
        serving.look()
    wanted = configuration_of(serving, 3)
    serving.cloud.endpoints[NAME]["EndpointStatus"] = status
    if status == "Failed":
        serving.cloud.endpoints[NAME]["EndpointConfigName"] = wanted
    serving.cloud.calls.clear()
    assert look(serving) == []
    assert changes(serving) == set()


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating"])
def test_an_endpoint_that_is_being_changed_is_not_judged(serving: DeployWorld, status: str) -> None:
    serving.cloud.endpoints[NAME] |= {"EndpointStatus": status, "EndpointConfigName": configuration_of(serving, 1)}
    assert look(serving) == []


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_out_of_order_with_the_champion_is_not_touched(serving: DeployWorld, status: str) -> None:
    """Only its deletion helps, and SageMaker's own event has reported it."""
    serving.cloud.endpoints[NAME]["EndpointStatus"] = status
    assert look(serving) == []
    assert serving.cloud.dead_letters == []


def test_tags_of_a_configuration_that_was_never_made_mean_no_rollback(serving: DeployWorld) -> None:
    def missing(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if name == "ListTags":
            raise Refused("ValidationException", "Could not find entity")

    serving.cloud.endpoints[NAME]["EndpointConfigName"] = "somebody-elses"
    serving.cloud.interrupt = missing
    assert [told["what"] for told in look(serving)] == ["foreign"]


def test_a_look_at_a_line_that_is_no_longer_declared_is_ignored(registry: DeployWorld, logged: Any) -> None:
    assert registry.deliver(LOOK | {"line": "pets", "seen": "x"}) == []
    assert "not declared" in logged()[0]["reason"]
    assert registry.cloud.names() == []


def test_two_periodic_looks_tell_the_same_thing(serving: DeployWorld) -> None:
    """notify leaves out what it has sent: a notice of the same difference has the same state."""
    del serving.cloud.endpoints[NAME]
    states = []
    for _ in range(2):
        (told,) = look(serving)
        message = parse(json.dumps(told), pipelines=[NAME], model_package_groups=[NAME], endpoints=[NAME])
        assert isinstance(message, EndpointDiffers)
        states.append(message.state)
    assert states[0] == states[1]
