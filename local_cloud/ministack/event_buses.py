"""Events from account to account: rules whose target is a bus elsewhere, and the policy that lets them in there."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import cloudwatch, eventbridge
from ministack.services.cloudformation import provisioners

log = logging.getLogger(__name__)

_BUS = re.compile(r"arn:aws:events:(?P<region>[^:]+):(?P<account>\d{12}):event-bus/(?P<name>.+)")
_ACTION = "events:PutEvents"


def install() -> None:
    eventbridge._invoke_target = _forwarding(eventbridge._invoke_target)
    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = {
        "create": _create_policy,
        "update": _update_policy,
        "delete": _delete_policy,
    }


def _forwarding(original: Callable[..., None]) -> Callable[..., None]:
    """ministack drops what goes to a bus of another account. On AWS the rule's role may put events there or not, the
    bus's policy lets it or not, and what fails is counted.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html
    """

    def invoke(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None) -> None:
        bus = _BUS.fullmatch(target.get("Arn", ""))
        here = (responses.get_account_id(), responses.get_region())
        if bus is None or (bus["account"], bus["region"]) == here:
            original(target, event, rule, view)
            return
        refused = _refusal(bus, str(target.get("RoleArn", "")), rule)
        if refused:
            log.warning("rule %s: its event does not reach %s: %s", rule["Name"], bus[0], refused)
            dimensions = {"RuleName": rule["Name"]}
            cloudwatch.record_metric("AWS/Events", "FailedInvocations", 1, "Count", dimensions)
            return
        with responses.request_scope(bus["account"], bus["region"]):
            eventbridge._dispatch_event(event | {"EventBusName": bus["name"]})

    return invoke


def _refusal(bus: re.Match[str], role: str, rule: dict[str, Any]) -> str | None:
    """Why the event may not go there; None if it may."""
    account, name = responses.get_account_id(), role.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=role, principal_type="AssumedRole", principal_account=account, action=_ACTION,
        resource_arn=bus[0], region=bus["region"], service_context={"aws:sourcearn": rule["Arn"]},
    )  # fmt: skip
    if iam_evaluator.evaluate(context, iam_evaluator._gather_role_policies(name, account)).decision != "Allow":
        return f"{role or 'no role'} may not {_ACTION}"
    scope = (bus["account"], bus["region"], bus["name"])
    if eventbridge._event_buses.get_scoped(*scope) is None:
        return "it does not exist"
    policy = eventbridge._event_bus_policies.get_scoped(*scope)
    if iam_evaluator.evaluate_resource_policy(policy, context).decision != "Allow":
        return f"its policy does not let {rule['Arn']} in"
    return None


def _create_policy(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    bus, sid = properties.get("EventBusName", "default"), properties["StatementId"]
    if bus != "default" and bus not in eventbridge._event_buses:
        raise ValueError(f"Event bus {bus} does not exist.")
    others = _statements_but(bus, sid)
    statement = properties["Statement"]
    statement = json.loads(statement) if isinstance(statement, str) else statement
    policy = {"Version": "2012-10-17", "Statement": [*others, {**statement, "Sid": sid}]}
    eventbridge._event_bus_policies[bus] = policy
    return f"{bus}|{sid}", {}


def _update_policy(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str
) -> tuple[str, dict[str, Any]]:
    _delete_policy(physical_id, old)
    return _create_policy("", new, stack_name)


def _delete_policy(physical_id: str, properties: dict[str, Any]) -> None:
    bus, _, sid = physical_id.partition("|")
    others = _statements_but(bus, sid)
    if others:
        eventbridge._event_bus_policies[bus] = {"Version": "2012-10-17", "Statement": others}
    else:
        eventbridge._event_bus_policies.pop(bus, None)


def _statements_but(bus: str, sid: str) -> list[dict[str, Any]]:
    policy = eventbridge._event_bus_policies.get(bus) or {"Statement": []}
    return [statement for statement in policy["Statement"] if statement.get("Sid") != sid]
