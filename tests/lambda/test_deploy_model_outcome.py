"""After a deployment the endpoint is looked at until it rests, and people are notified of the outcome."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from fake_aws import ACCOUNT, REGION, Crash
from worlds import NAME, DeployWorld


def approve(registry: DeployWorld, version: int) -> None:
    assert registry.deliver(registry.decide(version, "Approved")) == []


def serving(registry: DeployWorld, version: int) -> None:
    approve(registry, version)
    registry.settle()
    registry.cloud.notices.clear()


def kinds(registry: DeployWorld) -> list[str]:
    return [notice["kind"] for notice in registry.cloud.notices]


def test_a_version_that_is_served_is_told_once_it_is(registry: DeployWorld) -> None:
    approve(registry, 1)
    assert kinds(registry) == []
    registry.look()
    assert kinds(registry) == []  # it is Creating still
    registry.settle()
    (notice,) = registry.cloud.notices
    assert notice == {
        "headrace": "notice",
        "kind": "deployed",
        "endpoint": NAME,
        "configuration": registry.cloud.endpoints[NAME]["EndpointConfigName"],
        "model_package_arn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{NAME}/1",
        "version": 1,
        "changed": round(registry.cloud.endpoints[NAME]["LastModifiedTime"].timestamp() * 1000),
    }
    assert registry.cloud.queue == []


def test_a_silent_rollback_is_told_and_not_tried_again(registry: DeployWorld) -> None:
    """It is InService, as after a success, but with the configuration that it had before."""
    serving(registry, 1)
    former = registry.cloud.endpoints[NAME]["EndpointConfigName"]
    approve(registry, 2)
    registry.roll_back()
    registry.settle()
    (notice,) = registry.cloud.notices
    assert notice["kind"] == "rolled-back"
    assert (notice["version"], notice["serving"]) == (2, former)
    assert notice["configuration"].startswith(f"{NAME}-v2-")
    assert notice["reason"] == "the container did not answer /ping"
    assert registry.deliver({"headrace": "look-again", "count": 0}, registry.decide(3, "Rejected")) == []
    registry.settle()
    assert registry.cloud.names().count("UpdateEndpoint") == 1
    assert kinds(registry) == ["rolled-back"]
    assert registry.served().endswith("/1")


def test_a_version_that_was_rolled_back_is_tried_again_when_it_is_approved_again(registry: DeployWorld) -> None:
    serving(registry, 1)
    approve(registry, 2)
    registry.roll_back()
    registry.settle()
    assert registry.deliver(registry.decide(2, "Rejected")) == []
    registry.settle()
    approve(registry, 2)
    registry.settle()
    assert registry.served().endswith("/2")
    assert kinds(registry) == ["rolled-back", "deployed"]


def test_a_newer_version_is_tried_after_a_rollback(registry: DeployWorld) -> None:
    serving(registry, 1)
    approve(registry, 2)
    registry.roll_back()
    registry.settle()
    approve(registry, 3)
    registry.settle()
    assert registry.served().endswith("/3")


def test_an_endpoint_that_fails_at_its_creation_is_told_and_not_made_again(registry: DeployWorld) -> None:
    approve(registry, 1)
    registry.cloud.endpoints[NAME] |= {"EndpointStatus": "Failed", "FailureReason": "no capacity"}
    registry.settle()
    (notice,) = registry.cloud.notices
    assert (notice["kind"], notice["status"], notice["reason"]) == ("endpoint-failed", "Failed", "no capacity")
    assert registry.deliver({"headrace": "look-again", "count": 0}) == []
    assert registry.cloud.queue == []
    assert "DeleteEndpoint" not in registry.cloud.names()
    approve(registry, 1)
    registry.settle()
    assert registry.served().endswith("/1")


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_update_that_ends_out_of_order_is_told(registry: DeployWorld, status: str) -> None:
    serving(registry, 1)
    approve(registry, 2)
    registry.roll_back()
    registry.cloud.endpoints[NAME]["EndpointStatus"] = status
    registry.settle()
    assert kinds(registry) == ["endpoint-failed"]


def test_a_rollback_under_way_is_waited_for(registry: DeployWorld, logged: Any) -> None:
    """EndpointConfigName is the former one already, and nothing is pending."""
    serving(registry, 1)
    approve(registry, 2)
    registry.roll_back()
    registry.cloud.endpoints[NAME]["EndpointStatus"] = "RollingBack"
    registry.look()
    assert kinds(registry) == []
    registry.cloud.endpoints[NAME]["EndpointStatus"] = "InService"
    registry.settle()
    assert kinds(registry) == ["rolled-back"]


def test_a_newer_approval_during_an_update_is_served_after_it_and_nothing_counts_as_rolled_back(
    registry: DeployWorld,
) -> None:
    serving(registry, 1)
    approve(registry, 2)
    approve(registry, 3)
    registry.settle()
    assert registry.served().endswith("/3")
    assert set(kinds(registry)) == {"deployed"}
    assert [arn for arn in registry.cloud.tags if ":endpoint-config/" in arn] == []


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "being deleted"])
@pytest.mark.parametrize("version", [1, 2], ids=["after its creation", "after an update"])
def test_an_endpoint_that_is_deleted_before_the_look_stays_deleted_until_somebody_asks(
    registry: DeployWorld, version: int, gone: bool
) -> None:
    serving(registry, 1)
    if version == 1:
        registry.cloud.endpoints.clear()
    approve(registry, version)
    registry.come_to_rest()
    if gone:
        registry.cloud.endpoints.clear()
    else:
        registry.cloud.endpoints[NAME]["EndpointStatus"] = "Deleting"
        registry.look()
    registry.settle()
    assert registry.cloud.endpoints == {}
    serving(registry, version)
    assert registry.served().endswith(f"/{version}")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["CreateEndpoint", "UpdateEndpoint", "SendMessage", "AddTags"])
@pytest.mark.parametrize("works", [True, False])
def test_whenever_the_function_dies_the_verdict_is_told_all_the_same(
    registry: DeployWorld, operation: str, moment: str, works: bool
) -> None:
    """At each call that changes something; the queue brings the message again."""
    serving(registry, 1)
    if operation == "CreateEndpoint":
        registry.cloud.endpoints.clear()
    change = registry.decide(2, "Approved")
    calls = itertools.count()

    def die(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == (moment, operation) and next(calls) == 0:
            raise Crash

    registry.cloud.interrupt = die
    bodies = [change]
    for _ in range(10):
        if not bodies:
            if not registry.cloud.queue:
                break
            bodies.append(json.loads(registry.cloud.queue.pop(0).body))
        try:
            assert registry.deliver(bodies[0]) == []
        except Crash:
            continue
        bodies.pop()
        if "PendingDeploymentSummary" in registry.cloud.endpoints[NAME] and not works:
            registry.roll_back()
        else:
            registry.come_to_rest()
    created = operation == "CreateEndpoint"
    assert set(kinds(registry)) == {"deployed" if works or created else "rolled-back"}
