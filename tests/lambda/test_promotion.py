"""An environment that serves what another account has approved: the deployer follows that registry, and by no event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fake_aws import REGION, Refused
from worlds import NAME, DeployWorld

SOURCE, GROUP = "999999999999", "headrace-dev"
LOOK_AGAIN = {"headrace": "look-again", "count": 0}


@pytest.fixture
def world() -> DeployWorld:
    return DeployWorld(account=SOURCE, group=GROUP)


def test_a_version_that_the_source_approved_is_served(world: DeployWorld) -> None:
    """By its ARN, which names the account; the model has the name of this environment's endpoint."""
    assert world.deliver(world.decide(3, "Approved")) == []
    assert world.served() == f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package/{GROUP}/3"
    (model,) = world.cloud.models
    assert model.startswith(f"{NAME}-v3-")


def test_an_event_that_says_approved_of_a_pending_version_changes_nothing(world: DeployWorld, logged: Any) -> None:
    """A principal that can put an event onto the bus cannot so approve: what counts is what the registry says."""
    forged = world.decide(1, "PendingManualApproval")
    forged["detail"]["ModelApprovalStatus"] = "Approved"
    assert world.deliver(forged) == []
    assert world.cloud.endpoints == {}
    assert "no approved model" in [line["message"].partition(":")[0] for line in logged()]


def test_an_event_of_another_version_has_the_champion_served(world: DeployWorld) -> None:
    world.decide(2, "Approved")
    assert world.deliver(world.decide(1, "Approved")) == []
    assert world.served().endswith("/2")


@pytest.mark.parametrize(
    ("arn", "group"),
    [
        (f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package/another/1", "another"),
        (f"arn:aws:sagemaker:{REGION}:{SOURCE}:model-package/another/1", GROUP),
        (f"arn:aws:sagemaker:{REGION}:888888888888:model-package/{GROUP}/1", GROUP),
        (f"arn:aws:sagemaker:us-east-1:{SOURCE}:model-package/{GROUP}/1", GROUP),
    ],
    ids=["group", "hidden-group", "account", "region"],
)
def test_a_package_of_another_group_or_account_is_not_even_looked_up(
    world: DeployWorld, logged: Any, arn: str, group: str
) -> None:
    change = world.decide(1, "Approved")
    change["detail"] |= {"ModelPackageArn": arn, "ModelPackageGroupName": group}
    assert world.deliver(change) == []
    assert world.cloud.names() == []
    assert arn in logged()[0]["reason"]


def test_arns_in_small_letters_are_understood() -> None:
    """SageMaker has written them so for groups with capitals in their names."""
    world = DeployWorld(account=SOURCE, group="Birds")
    change = world.decide(1, "Approved")
    change["detail"]["ModelPackageArn"] = change["detail"]["ModelPackageArn"].lower()
    assert world.deliver(change) == []
    assert world.served().endswith("/Birds/1")


def test_each_look_asks_the_registry_anew(world: DeployWorld) -> None:
    """A version that is rejected while the endpoint is busy is not deployed after all."""
    assert world.deliver(world.decide(1, "Approved")) == []
    world.settle()
    world.cloud.endpoints[NAME]["EndpointStatus"] = "Updating"
    assert world.deliver(world.decide(2, "Approved")) == []
    world.decide(2, "Rejected")
    world.settle()
    assert world.served().endswith("/1")


def test_a_registry_made_anew_is_served_under_the_same_numbers(world: DeployWorld) -> None:
    """Its version 1 is not the model that was made of the former version 1, though the ARN is the same."""
    assert world.deliver(world.decide(1, "Approved")) == []
    world.settle()
    before = world.cloud.endpoints[NAME]["EndpointConfigName"]
    world.cloud.packages.clear()
    world.cloud.now += 86_400
    assert world.deliver(world.decide(1, "Approved")) == []
    world.settle()
    assert world.cloud.endpoints[NAME]["EndpointConfigName"] != before
    assert len(world.cloud.models) == 2


def test_a_registry_that_may_not_be_read_is_told_and_set_aside(world: DeployWorld, monkeypatch: Any) -> None:
    """Nobody would notice otherwise: the endpoint goes on serving what it serves."""
    denied = (
        f"is not authorized to perform: sagemaker:ListModelPackages on resource: …:{SOURCE}:model-package/{GROUP}/*"
    )

    def refuse(**request: Any) -> dict[str, Any]:
        raise Refused("AccessDeniedException", denied)

    change = world.decide(1, "Approved")
    monkeypatch.setattr(world.cloud, "list_model_packages", refuse)
    assert world.deliver(change) == []
    (letter,) = world.cloud.dead_letters
    assert json.loads(letter.body) == change
    (notice,) = world.cloud.notices
    assert notice["kind"] == "set-aside"
    assert denied in notice["reason"]
