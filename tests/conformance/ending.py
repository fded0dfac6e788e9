"""The events and notices that came of it all, and what is left when the stack is destroyed."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from tests.conformance.checks import Check, DidNotHold, NotChecked
from tests.conformance.preparation import NAME, destroy
from tests.conformance.world import World

# What lambda/ reads of each kind of event: member and types.
READ: dict[str, dict[str, Any]] = {
    "SageMaker Model Building Pipeline Execution Status Change": {
        "pipelineExecutionArn": str, "currentPipelineExecutionStatus": str,
    },
    "SageMaker Model Package State Change": {
        "ModelPackageArn": str, "ModelPackageGroupName": str, "ModelPackageVersion": int, "ModelApprovalStatus": str,
    },
    "SageMaker Endpoint State Change": {"EndpointName": str, "EndpointStatus": str, "LastModifiedTime": (int, float)},
}  # fmt: skip


def sends_events(world: World) -> str:
    """D8: types of members, and the case of the endpoint's statuses."""
    if not world.events_queue:
        raise NotChecked("no queue was made")
    world.wait(lambda: received(world, set(READ)), seconds=120)
    seen: Counter[str] = Counter()
    for event in world.events:
        kind, detail = event["detail-type"], event["detail"]
        seen[kind] += 1
        for member, types in READ.get(kind, {}).items():
            if not isinstance(detail.get(member), types):
                raise DidNotHold(f"{kind}: {member} is {detail.get(member)!r}")
        status = detail.get("EndpointStatus", "IN_SERVICE")
        if status != status.upper():
            raise DidNotHold(f"{kind}: EndpointStatus is {status!r}")
    missing = sorted(READ.keys() - seen.keys())
    if missing:
        raise DidNotHold(f"no event came of: {', '.join(missing)}")
    return ", ".join(f"{count} {kind}" for kind, count in sorted(seen.items()))


def received(world: World, kinds: set[str]) -> bool:
    world.receive()
    return kinds <= {event["detail-type"] for event in world.events}


def sends_notices(world: World) -> str:
    if not world.notices_queue:
        raise NotChecked("no queue was made")

    def look() -> list[dict[str, Any]]:
        world.receive()
        return world.notices

    if not world.wait(look, seconds=120):
        raise DidNotHold("no notice came: the topic is encrypted, and the queue may not be reached through it")
    return f"{len(world.notices)} notices"


def raises_alarm(world: World) -> str:
    alarms = world.every("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=world.environment.stack_name)
    if not alarms:
        raise NotChecked(f"no alarm is named {world.environment.stack_name}…")
    name, before = str(alarms[0]["AlarmName"]), len(world.notices)
    world.ask("cloudwatch", "set_alarm_state", AlarmName=name, StateValue="ALARM", StateReason=NAME)

    def look() -> bool:
        world.receive()
        return len(world.notices) > before

    if not world.wait(look, seconds=180):
        raise DidNotHold(f"no notice came of the alarm {name}")
    return name


def leaves_nothing(world: World) -> str:
    """D12, D13."""
    if not world.deployed:
        raise NotChecked("it was not deployed")
    began = time.monotonic()
    groups, stack = world.environment.stack.model_package_group, world.environment.stack_name
    destroy(world.environment)
    world.deployed = False
    found = world.environment.client("sagemaker").list_model_package_groups(NameContains=groups)
    left = [group["ModelPackageGroupName"] for group in found["ModelPackageGroupSummaryList"]]
    if world.environment.find_stack(stack) or left:
        raise DidNotHold(f"still there: {left or stack}")
    return f"destroyed after {time.monotonic() - began:.0f} s"


END = (
    Check("events", "SageMaker's events have the members that the functions read", sends_events),
    Check("notices", "notices reach a subscriber of the encrypted topic", sends_notices),
    Check("alarm", "an alarm's action reaches the topic and becomes a notice", raises_alarm,
          aws_only="the local cloud's CloudWatch evaluates no alarms and runs none of their actions"),
)  # fmt: skip
AFTER = (Check("destroy", "a destroyed environment leaves no stack and no model registry", leaves_nothing),)
BY_HAND = (
    Check("gpu-host", "ml.g4dn hosts have a driver for the image's CUDA",
          by_hand='train once on ml.g4dn.xlarge: headrace logs Train… --tail 50 names the device'),
    Check("project-template", "CreateProject from S3 gives CloudFormation the capability for named roles",
          by_hand="npx cdk deploy -c catalog=ENV; headrace --env ENV publish; headrace --env ENV projects create NAME"),
    Check("vpc", "isolated jobs and endpoints reach what SageMaker brings, and no interface is left",
          by_hand='an environment with network_access = "vpc": deploy, upload, approve, predict, destroy'),
    Check("promotion", "another account's role reads registry and artifact",
          by_hand="an environment with promotes_from in a second account: deploy, approve, predict"),
    Check("github", "GitHub's token has the subject that the roles trust",
          by_hand="npx cdk deploy -c delivery=ENV, then a pull request and a push"),
    Check("budget", "AWS Budgets counts the tagged jobs",
          by_hand="activate headrace:environment as a cost allocation tag, and look a day later"),
)  # fmt: skip
