"""Network interfaces that SageMaker made for jobs and endpoint, which keep their VPC from being deleted."""

from collections.abc import Sequence

from custom_resource.deadline import Patience
from shared import log
from shared.aws import Ec2Client


def await_interfaces(ec2: Ec2Client, subnets: Sequence[str], patience: Patience) -> None:
    """Wait until the subnets hold none. Nothing but jobs and endpoint has one there, and they have ended.

    SageMaker deletes them some minutes after that, under the role of the job or the endpoint: whoever deletes the role
    first, or the subnet while they are there, has a stack that cannot be deleted.
    """
    while left := _interfaces(ec2, subnets):
        patience.wait(f"SageMaker has not deleted the network interfaces {', '.join(left)}")
    log.info("no network interface is left", subnets=list(subnets))


def _interfaces(ec2: Ec2Client, subnets: Sequence[str]) -> list[str]:
    asked = [{"Name": "subnet-id", "Values": list(subnets)}]
    pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=asked)
    return sorted(item["NetworkInterfaceId"] for page in pages for item in page["NetworkInterfaces"])
