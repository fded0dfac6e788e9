"""What the endpoint serves beside what the registry wants it to serve, and how it is asked to follow.

The newest approved version is wanted. deploy_model brings the endpoint to it at every decision, so a
version is chosen in the registry alone: what is changed on the endpoint by hand does not survive the next decision.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.client.endpoint import IN_SERVICE, Endpoint, read_endpoint
from headrace.client.environment import DEFAULT_LINE, Environment
from headrace.client.model_packages import APPROVED, PENDING, find_model, is_servable, list_packages

ON_ITS_WAY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
ROLLED_BACK = "headrace:rolled-back"  # the tag of an endpoint configuration: lambda/deploy_model/outcome.py


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it is wanted: what, and the command that repairs it."""

    what: str
    command: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.command}   # {self.why}"

    def as_data(self) -> dict[str, str]:
        return {"what": self.what, "command": self.command, "why": self.why}


@dataclass(frozen=True, slots=True)
class Serving:
    """The endpoint and the versions of the registry, newest first, read at one moment."""

    endpoint: Endpoint | None
    packages: tuple[dict[str, Any], ...]

    @property
    def approved(self) -> list[int]:
        """The versions that may be served, newest first."""
        return [_number(package) for package in self.packages if is_servable(package)]

    @property
    def wanted(self) -> int | None:
        """The newest approved version."""
        return next(iter(self.approved), None)

    @property
    def served(self) -> int | None:
        """The version that answers now; None without an endpoint, or where its version is not known."""
        return self.endpoint.version if self.endpoint else None

    @property
    def is_as_wanted(self) -> bool:
        """An endpoint that rests, in service, with the wanted version."""
        return self.endpoint is not None and self.endpoint.status == IN_SERVICE and self.served == self.wanted

    @property
    def on_its_way(self) -> bool:
        return self.endpoint is not None and self.endpoint.status in ON_ITS_WAY

    def approval(self, version: int) -> str | None:
        """None for a version that is not in the registry."""
        found = (package for package in self.packages if _number(package) == version)
        return next((str(package.get("ModelApprovalStatus", PENDING)) for package in found), None)


def read_serving(environment: Environment) -> Serving:
    return Serving(read_endpoint(environment), tuple(list_packages(environment)))


def find_differences(environment: Environment, serving: Serving) -> list[Difference]:
    """Each difference between what is and what is wanted; none while the endpoint is being changed."""
    return [] if serving.on_its_way else list(_differences(environment, serving))


def _differences(environment: Environment, serving: Serving) -> Iterator[Difference]:
    endpoint, wanted, served = serving.endpoint, serving.wanted, serving.served
    if wanted is not None and not serving.is_as_wanted:
        model = find_model(environment, str(wanted))
        if not model.pins_artifact:
            yield Difference(
                f"version {wanted} is approved and is not deployed: it does not record the SHA-256 of its artifact",
                environment.registry_command(f"run {model.data_set or 'DATA_SET'} --again"),
                "registers it again, with its SHA-256",
            )
            return
    repair = environment.command("repair")
    if endpoint is None:
        if wanted is not None:
            yield Difference(
                f"there is no endpoint, and version {wanted} is approved",
                repair,
                "makes it. If it was deleted on purpose, it stays deleted until the next approval or deployment",
            )
        return
    if endpoint.status != IN_SERVICE:
        if wanted is not None and served != wanted:
            yield Difference(f"the endpoint is {endpoint.status}", repair, f"deploys version {wanted}")
        else:
            yield _broken(environment, endpoint, wanted)
        return
    if served is None:
        what = f"the endpoint serves {endpoint.configuration}, which is not a version of the registry"
    elif served == wanted:
        return
    else:
        what = f"the endpoint serves version {served}, which is {_state(serving, served)}"
    if wanted is None:
        approve = environment.registry_command("approve VERSION")
        yield Difference(f"{what}, and no version is approved", approve, "deploys that version")
    elif was_rolled_back(environment, wanted):
        again = environment.registry_command(f"approve {wanted}")
        yield Difference(f"{what}; version {wanted} was rolled back", again, "tries it once more")
    else:
        yield Difference(f"{what}; version {wanted} is the newest approved one", repair, f"deploys version {wanted}")


def _broken(environment: Environment, endpoint: Endpoint, wanted: int | None) -> Difference:
    """An endpoint that does not answer, and whose version is the wanted one, or has none to follow."""
    reason = f": {endpoint.reason}" if endpoint.reason else ""
    if endpoint.status == "Failed" and wanted is not None:
        return Difference(f"the endpoint is Failed{reason}", environment.command("repair"), "deletes it and makes it")
    delete = f"aws sagemaker delete-endpoint --endpoint-name {endpoint.name}"
    return Difference(f"the endpoint is {endpoint.status}{reason}", delete, f"then: {environment.command('repair')}")


def _state(serving: Serving, version: int) -> str:
    approval = serving.approval(version)
    if approval is None:
        return "no longer in the registry"
    return "approved" if approval == APPROVED else approval


def was_rolled_back(environment: Environment, version: int) -> bool:
    """Whether SageMaker went back from an update to this version. deploy_model tags its configuration then."""
    sagemaker, begin = environment.client("sagemaker"), f"{environment.stack.endpoint}-v{version}-"
    with environment.doing(f"reading the endpoint configurations of version {version}"):
        pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=begin)
        arns = [item["EndpointConfigArn"] for page in pages for item in page["EndpointConfigs"]]
        for arn in arns:
            tags = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
            if any(tag["Key"] == ROLLED_BACK for page in tags for tag in page["Tags"]):
                return True
    return False


def ask_for_deployment(environment: Environment) -> None:
    """Has deploy_model bring the endpoint to the wanted version, also one that was rolled back before.

    By the message that the function sends itself: an approval that changes nothing makes no event.
    """
    queue = next(queue for queue in environment.stack.queues if queue.name == "decisions")
    line = {} if environment.line in (None, DEFAULT_LINE) else {"line": environment.line}
    with environment.doing("asking for the deployment"):
        environment.client("sqs").send_message(
            QueueUrl=queue.url, MessageBody=json.dumps({"headrace": "look-again", "count": 0, "again": True, **line})
        )


def after_rejecting(serving: Serving, rejected: Sequence[int]) -> int | None:
    """The version that is wanted once these are rejected."""
    return next((version for version in serving.approved if version not in rejected), None)


def _number(package: dict[str, Any]) -> int:
    return int(package["ModelPackageVersion"])
