"""Of networks what ministack leaves out: some of CloudFormation's types, its refusals, and IAM's condition keys."""

import json
import secrets
from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions, responses
from ministack.services import ec2
from ministack.services.cloudformation import provisioners

from local_cloud.sagemaker.containers.vpc import isolation, vpc_config


def install() -> None:
    types = provisioners._RESOURCE_HANDLERS
    types["AWS::EC2::FlowLog"] = {"create": _create_flow_log, "delete": _delete_flow_log}
    types["AWS::EC2::SecurityGroupIngress"] = _rule("IpPermissions")
    types["AWS::EC2::SecurityGroupEgress"] = _rule("IpPermissionsEgress")
    for kind, noun in (("Subnet", "subnet"), ("SecurityGroup", "resource")):
        handlers = types[f"AWS::EC2::{kind}"]
        handlers["delete"] = _unless_in_use(handlers["delete"], noun)
    ec2._ACTION_MAP["DescribeNetworkInterfaces"] = _describe_interfaces
    iam_actions.request_tag_context = _with_network(iam_actions.request_tag_context)


def _create_flow_log(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
    """It is there, and logs nothing: no packet passes here."""
    name = "fl-" + secrets.token_hex(8)
    ec2._flow_logs[name] = {
        "FlowLogId": name,
        "ResourceId": properties["ResourceId"],
        "ResourceType": properties["ResourceType"],
        "TrafficType": properties["TrafficType"],
        "LogDestinationType": properties.get("LogDestinationType", "cloud-watch-logs"),
        "LogDestination": properties.get("LogGroupName", ""),
        "FlowLogStatus": "ACTIVE",
        "CreationTime": ec2._now_ts(),
    }
    return name, {"Id": name}


def _delete_flow_log(name: str, properties: dict[str, Any]) -> None:
    ec2._flow_logs.pop(name, None)


def _rule(side: str) -> dict[str, Any]:
    """A rule as a separate resource, which a group that refers to itself needs."""

    def permission(properties: dict[str, Any]) -> dict[str, Any]:
        (found,) = provisioners._ec2_sg_permissions([properties])
        assert isinstance(found, dict)
        return found

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        ec2._security_groups[properties["GroupId"]][side].append(permission(properties))
        name = "sgr-" + secrets.token_hex(8)
        return name, {"Id": name}

    def delete(name: str, properties: dict[str, Any]) -> None:
        group = ec2._security_groups.get(properties["GroupId"])
        if group is not None and permission(properties) in group[side]:
            group[side].remove(permission(properties))

    return {"create": create, "delete": delete}


def _unless_in_use(delete: Callable[..., None], noun: str) -> Callable[..., None]:
    """EC2 refuses to delete the subnet and the group of a network interface; ministack deletes them."""

    def refuse_or_delete(physical_id: str, properties: dict[str, Any]) -> None:
        for interface in ec2._network_interfaces.values():
            groups = [group["GroupId"] for group in interface["Groups"]]
            if physical_id in (interface["SubnetId"], *groups):
                raise ValueError(
                    f"The {noun} '{physical_id}' has dependencies and cannot be deleted. (DependencyViolation: "
                    f"{interface['NetworkInterfaceId']})"
                )
        delete(physical_id, properties)

    return refuse_or_delete


def _describe_interfaces(parameters: dict[str, Any]) -> Any:
    """With the filters by which they are looked for; ministack answers with all."""
    filters, ids = ec2._parse_filters(parameters), ec2._parse_member_list(parameters, "NetworkInterfaceId")

    def wanted(interface: dict[str, Any]) -> bool:
        values = {
            "subnet-id": [interface["SubnetId"]],
            "vpc-id": [interface["VpcId"]],
            "group-id": [group["GroupId"] for group in interface["Groups"]],
        }
        unknown = filters.keys() - values
        assert not unknown, f"the local cloud does not filter network interfaces by {sorted(unknown)}"
        return (not ids or interface["NetworkInterfaceId"] in ids) and all(
            set(asked) & set(values[name]) for name, asked in filters.items()
        )

    found = "".join(ec2._eni_fields_xml(item) for item in ec2._network_interfaces.values() if wanted(item))
    return ec2._xml(200, "DescribeNetworkInterfacesResponse", f"<networkInterfaceSet>{found}</networkInterfaceSet>")


def _with_network(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``sagemaker:VpcSubnets`` and its like of what is to be created, and ``ec2:Subnet`` of an interface."""

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, action, body, params)
        if service == "sagemaker" and action.startswith("sagemaker:Create"):
            return found | _network_of(body)
        if service == "ec2" and action == "ec2:DeleteNetworkInterface":
            interface = ec2._network_interfaces.get(iam_actions._query_param(params, "NetworkInterfaceId"))
            if interface is not None:
                account, region = responses.get_account_id(), responses.get_region()
                found = found | {"ec2:subnet": f"arn:aws:ec2:{region}:{account}:subnet/{interface['SubnetId']}"}
        return found

    return context


def _network_of(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(request, dict):
        return {}
    found: dict[str, Any] = {
        f"sagemaker:{name.lower()}": str(isolation(request).get(f"Enable{name}", False)).lower()
        for name in ("NetworkIsolation", "InterContainerTrafficEncryption")
    }
    vpc = vpc_config(request) or {}
    for key, member in (("vpcsubnets", "Subnets"), ("vpcsecuritygroupids", "SecurityGroupIds")):
        if vpc.get(member):
            found[f"sagemaker:{key}"] = vpc[member]
    return found
