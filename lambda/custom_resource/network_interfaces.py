"""Network interfaces that SageMaker created for jobs and endpoint. While they exist, the VPC cannot be deleted."""

from collections.abc import Sequence

from custom_resource.deadline import Deadline
from shared import log
from shared.aws import Ec2Client


def await_interfaces(ec2: Ec2Client, subnets: Sequence[str], deadline: Deadline) -> None:
    """Wait until the subnets have none. Only jobs and the endpoint have interfaces there, and they have ended.

    SageMaker deletes the interfaces some minutes later, with the role of the job or the endpoint. If the role is
    deleted first, or the subnet while they exist, the deletion of the stack fails.
    """
    while left := _interfaces(ec2, subnets):
        deadline.wait(f"SageMaker has not deleted the network interfaces {', '.join(left)}")
    log.info("no network interface is left", subnets=list(subnets))


def _interfaces(ec2: Ec2Client, subnets: Sequence[str]) -> list[str]:
    asked = [{"Name": "subnet-id", "Values": list(subnets)}]
    pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=asked)
    return sorted(item["NetworkInterfaceId"] for page in pages for item in page["NetworkInterfaces"])
