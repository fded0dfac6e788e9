"""Decisions about model versions: the endpoint comes to serve the champion, whatever the order of events."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from fake_aws import ACCOUNT, REGION, Refused
from worlds import NAME, DeployWorld, event

EXECUTION = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{NAME}/execution/abcdefghijkl"
LOOK_AGAIN = {"headrace": "look-again", "count": 1}


def serving(registry: DeployWorld, version: int = 1) -> None:
    """A world in which that version is approved and served."""
    assert registry.deliver(registry.decide(version, "Approved")) == []
    registry.settle()


def test_the_first_approved_version_gets_an_endpoint(registry: DeployWorld) -> None:
    assert registry.deliver(registry.decide(1, "Approved")) == []
    assert registry.cloud.endpoints[NAME]["EndpointStatus"] == "Creating"
    assert registry.served().endswith(f"/{NAME}/1")
    (configuration,) = registry.cloud.configurations
    assert configuration.startswith(f"{NAME}-v1-")
    (model,) = registry.cloud.models
    assert re.fullmatch(f"{NAME}-v1-[0-9a-f]{{8}}", model)
    tags = [{"Key": "headrace:project", "Value": "headrace"}]
    for made in (registry.cloud.models, registry.cloud.configurations, registry.cloud.endpoints):
        assert [item["Tags"] for item in made.values()] == [tags]


def test_in_a_network_the_model_is_isolated_and_another_than_outside_of_it(registry: DeployWorld) -> None:
    """A model cannot be moved: an environment that gets a network gets new models."""
    serving(registry)
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    registry.environment = replace(registry.environment, vpc_config=vpc)
    assert registry.deliver(LOOK_AGAIN) == []
    registry.settle()
    outside, inside = registry.cloud.models.values()
    assert "VpcConfig" not in outside
    assert (inside["VpcConfig"], inside["EnableNetworkIsolation"]) == (vpc, True)
    _, name = registry.cloud.models
    assert all(re.fullmatch(rf"{NAME}-v1-[0-9a-f]{{8}}", model) for model in registry.cloud.models), "or it would stay"
    configuration = registry.cloud.configurations[registry.cloud.endpoints[NAME]["EndpointConfigName"]]
    assert configuration["ProductionVariants"][0]["ModelName"] == name


def test_a_newer_approved_version_replaces_the_older(registry: DeployWorld) -> None:
    serving(registry, 1)
    serving(registry, 2)
    assert registry.served().endswith("/2")


def test_an_older_version_approved_later_does_not_replace_the_newer(registry: DeployWorld) -> None:
    serving(registry, 2)
    serving(registry, 1)
    assert registry.served().endswith("/2")


def test_rejecting_the_served_version_brings_the_one_before_back(registry: DeployWorld) -> None:
    serving(registry, 1)
    serving(registry, 2)
    assert registry.deliver(registry.decide(2, "Rejected")) == []
    registry.settle()
    assert registry.served().endswith("/1")


def test_rejecting_the_only_version_leaves_the_endpoint_and_warns(registry: DeployWorld, logged: Any) -> None:
    serving(registry, 1)
    logged()
    assert registry.deliver(registry.decide(1, "Rejected")) == []
    assert registry.served().endswith("/1")
    (line,) = [line for line in logged() if line["level"] == "WARNING"]
    assert "delete-endpoint" in line["hint"]


def test_a_redelivered_event_changes_nothing(registry: DeployWorld) -> None:
    change = registry.decide(1, "Approved")
    assert registry.deliver(change, change) == []
    registry.settle()
    assert registry.deliver(change) == []
    assert registry.cloud.names().count("CreateEndpoint") == 1
    assert "UpdateEndpoint" not in registry.cloud.names()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_events_does_not_matter(registry: DeployWorld, order: tuple[int, ...]) -> None:
    changes = [registry.decide(1, "Approved"), registry.decide(2, "Approved"), registry.decide(3, "Rejected")]
    for number in order:
        assert registry.deliver(changes[number]) == []
        registry.come_to_rest()
    registry.settle()
    assert registry.served().endswith("/2")


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_a_busy_endpoint_is_looked_at_again(registry: DeployWorld, status: str) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = status
    assert registry.deliver(registry.decide(2, "Approved")) == []
    (message,) = registry.cloud.queue
    assert (json.loads(message.body), message.due - registry.cloud.now) == (
        LOOK_AGAIN | {"again": True, "execution": EXECUTION} | ({} if status == "Deleting" else {"was_there": True}),
        30,
    )
    registry.cloud.endpoints[NAME]["EndpointStatus"] = "Deleting" if status == "Deleting" else "InService"
    registry.settle()
    assert registry.served().endswith("/2")


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_a_busy_endpoint_that_is_deleted_before_the_recheck_stays_deleted(registry: DeployWorld, status: str) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = status
    assert registry.deliver(registry.decide(2, "Approved")) == []
    registry.cloud.endpoints.clear()
    registry.settle()
    assert registry.cloud.endpoints == {}
    serving(registry, 2)
    assert registry.served().endswith("/2")


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "InService"])
def test_an_endpoint_on_its_way_to_the_champion_is_not_updated_again(registry: DeployWorld, status: str) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = status
    assert registry.deliver(LOOK_AGAIN) == []
    registry.settle()
    assert "UpdateEndpoint" not in registry.cloud.names()
    assert registry.cloud.names().count("CreateEndpoint") == 1


def test_an_update_under_way_to_the_champion_is_not_begun_again(registry: DeployWorld) -> None:
    serving(registry, 1)
    change = registry.decide(2, "Approved")
    assert registry.deliver(change, change) == []
    assert registry.cloud.endpoints[NAME]["EndpointStatus"] == "Updating"
    registry.settle()
    assert registry.cloud.names().count("UpdateEndpoint") == 1


def test_a_failed_endpoint_is_deleted_and_made_anew(registry: DeployWorld) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = "Failed"
    assert registry.deliver(LOOK_AGAIN) == []
    assert registry.cloud.endpoints[NAME]["EndpointStatus"] == "Deleting"
    assert json.loads(registry.cloud.queue[0].body)["count"] == 2
    registry.settle()
    assert registry.cloud.endpoints[NAME]["EndpointStatus"] == "InService"


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_out_of_order_is_updated_to_another_champion(registry: DeployWorld, status: str) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = status
    serving(registry, 2)
    assert registry.served().endswith("/2")


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_out_of_order_with_the_champion_is_an_error(
    registry: DeployWorld, logged: Any, status: str
) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME] |= {"EndpointStatus": status, "FailureReason": "no capacity"}
    assert registry.deliver(LOOK_AGAIN) == []
    assert len(registry.cloud.dead_letters) == 1
    assert f"is {status}: no capacity" in logged()[-1]["error"]


def test_an_endpoint_that_never_comes_to_rest_is_an_error_in_the_end(registry: DeployWorld, logged: Any) -> None:
    serving(registry, 1)
    registry.cloud.endpoints[NAME]["EndpointStatus"] = "RollingBack"
    assert registry.deliver(registry.decide(2, "Approved")) == []
    looks = 0
    while registry.cloud.queue:
        assert registry.deliver(json.loads(registry.cloud.queue.pop().body)) == []
        looks += 1
    assert (len(registry.cloud.dead_letters), looks) == (1, 120)
    assert "is still busy at check number" in logged()[-1]["error"]


@pytest.mark.parametrize("operation", ["CreateEndpoint", "UpdateEndpoint"])
def test_a_worker_that_comes_second_looks_again(registry: DeployWorld, operation: str) -> None:
    if operation == "UpdateEndpoint":
        serving(registry, 1)

    def overtake(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if (moment, name) == ("before", operation):
            registry.cloud.interrupt = None
            registry.deliver(LOOK_AGAIN)

    change = registry.decide(2, "Approved")
    registry.cloud.interrupt = overtake
    assert registry.deliver(change) == []
    registry.settle()
    assert registry.served().endswith("/2")
    assert registry.cloud.names().count(operation) == 2


def test_another_instance_type_is_another_configuration(registry: DeployWorld) -> None:
    serving(registry, 1)
    registry.environment = type(registry.environment)(
        **{name: getattr(registry.environment, name) for name in registry.environment.__slots__}
        | {"instance_type": "ml.m5.xlarge"}
    )
    assert registry.deliver(LOOK_AGAIN) == []
    registry.settle()
    assert len(registry.cloud.configurations) == 2
    configuration = registry.cloud.configurations[registry.cloud.endpoints[NAME]["EndpointConfigName"]]
    assert configuration["ProductionVariants"][0]["InstanceType"] == "ml.m5.xlarge"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ModelPackageGroupName": "another"}, "belongs to the group another"),
        ({"ModelPackageArn": f"arn:aws:sagemaker:{REGION}:999999999999:model-package/{NAME}/1"}, "is not version 1 of"),
        ({"ModelPackageVersion": 2}, "is not version 2 of"),
        ({"ModelApprovalStatus": "PendingManualApproval"}, "neither approved nor rejected"),
    ],
)
def test_an_irrelevant_event_is_ignored_with_its_reason(
    registry: DeployWorld, logged: Any, change: dict[str, Any], reason: str
) -> None:
    body = event("model_package_state_change")
    body["detail"] |= change
    assert registry.deliver(body) == []
    assert registry.cloud.names() == []
    assert reason in logged()[0]["reason"]


def test_an_unversioned_package_is_ignored(registry: DeployWorld) -> None:
    body = event("model_package_state_change")
    del body["detail"]["ModelPackageGroupName"]
    assert registry.deliver(body) == []
    assert registry.cloud.names() == []


def test_an_event_of_another_kind_is_ignored(registry: DeployWorld) -> None:
    assert registry.deliver(event("model_package_state_change") | {"detail-type": "SageMaker Model State Change"}) == []
    assert registry.cloud.names() == []


@pytest.mark.parametrize("field", ["ModelPackageArn", "ModelPackageVersion", "ModelApprovalStatus"])
def test_a_malformed_event_is_dead_lettered_alone(registry: DeployWorld, logged: Any, field: str) -> None:
    good = registry.decide(1, "Approved")
    bad = event("model_package_state_change")
    del bad["detail"][field]
    assert registry.deliver(bad, good, {}) == []
    assert [json.loads(message.body) for message in registry.cloud.dead_letters] == [bad, {}]
    assert registry.served().endswith("/1")
    assert [line["type"] for line in logged() if line["level"] == "ERROR"] == ["MalformedEvent"] * 2


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"])
@pytest.mark.parametrize("code", ["ThrottlingException", "ValidationException"])
def test_any_other_error_of_sagemaker_fails_the_message(registry: DeployWorld, operation: str, code: str) -> None:
    def refuse(moment: str, name: str, parameters: dict[str, Any]) -> None:
        if name == operation:
            raise Refused(code, "something else")

    change = registry.decide(1, "Approved")
    registry.cloud.interrupt = refuse
    assert registry.deliver(change) == ["m0"]


@pytest.mark.parametrize(("operation", "served"), [("create_endpoint", []), ("update_endpoint", [1])])
def test_a_quota_sets_the_message_aside_at_once_and_says_which(
    registry: DeployWorld, monkeypatch: pytest.MonkeyPatch, operation: str, served: list[int]
) -> None:
    """Repeating it changes nothing: an endpoint quota of 1 makes every update fail, as it needs two instances."""
    for version in served:
        serving(registry, version)
    said = (
        "The account-level service limit 'ml.m5.large for endpoint usage' is 1 Instances, with current utilization of "
        "1 Instances and a request delta of 1 Instances."
    )

    def refuse(**request: Any) -> None:
        raise Refused("ResourceLimitExceeded", said)

    monkeypatch.setattr(registry.cloud, operation, refuse)
    assert registry.deliver(registry.decide(2, "Approved")) == []
    (dead,) = registry.cloud.dead_letters
    assert said in dead.reason
    assert "servicequotas/home/services/sagemaker/quotas" in dead.reason
    assert "headrace redrive" in dead.reason
