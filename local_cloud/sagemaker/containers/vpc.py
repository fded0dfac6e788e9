"""Jobs and models in a VPC: what they name has to be there, and each has an interface in it while it runs.

SageMaker looks, makes and deletes under the role of the job or the model, so here as well. No packet of theirs passes
that network: an isolated job has none at all (see `containers.launcher`), and what the platform loads it loads as ever.
"""

import logging
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core.aws_errors import error_message
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import AccessDenied, ValidationException
from local_cloud.sagemaker.core.store import Document, Scope

log = logging.getLogger(__name__)

DOCUMENT = DocumentKind.NETWORK_INTERFACE


def vpc_config(description: Document) -> dict[str, list[str]] | None:
    """Of a training job or a model, or in the NetworkConfig of a processing job; or in a tuning's definition."""
    found: dict[str, list[str]] | None = _network(description).get("VpcConfig")
    return found


def isolation(description: Document) -> dict[str, bool]:
    network = _network(description)
    names = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")
    return {name: network[name] for name in names if name in network}


def is_isolated(description: Document) -> bool:
    return isolation(description).get("EnableNetworkIsolation", False)


def _network(description: Document) -> dict[str, Any]:
    inner = ("NetworkConfig", "TrainingJobDefinition")
    network: dict[str, Any] = next((description[name] for name in inner if name in description), description)
    return network


def require_network(context: Context, scope: Scope, request: Document, role: str, source: str) -> None:
    """Raises ValidationException with EC2's words, when subnets or groups are not there or not of one VPC."""
    vpc = vpc_config(request)
    if vpc is None:
        return
    ec2 = context.clients.get("ec2", scope, role, source)
    try:
        subnets = ec2.describe_subnets(SubnetIds=vpc["Subnets"])["Subnets"]
        groups = ec2.describe_security_groups(GroupIds=vpc["SecurityGroupIds"])["SecurityGroups"]
    except ClientError as error:
        raise ValidationException(error_message(error)) from error
    if len({item["VpcId"] for item in (*subnets, *groups)}) != 1:
        raise ValidationException("The subnets and security groups of a VpcConfig must be of one VPC.")


def attach(context: Context, scope: Scope, owner: str, description: Document, role: str, source: str) -> None:
    """Gives the job or endpoint an interface, if it is in a VPC; one that it has from before goes.

    Raises AccessDenied when the role may not make it.
    """
    detach(context, scope, owner)
    vpc = vpc_config(description)
    if vpc is None:
        return
    ec2 = context.clients.get("ec2", scope, role, source)
    try:
        made = ec2.create_network_interface(
            SubnetId=vpc["Subnets"][0], Groups=vpc["SecurityGroupIds"], Description=f"SageMaker: {owner}"
        )
    except ClientError as error:
        raise AccessDenied(error_message(error)) from error
    name = made["NetworkInterface"]["NetworkInterfaceId"]
    document = {"NetworkInterfaceId": name, "RoleArn": role, "SourceArn": source}
    context.store.put(scope, DOCUMENT, owner, document)


def detach(context: Context, scope: Scope, owner: str) -> None:
    """Deletes the interface; when the role is not there any more or may not, it stays, as on AWS."""
    document = context.store.get(scope, DOCUMENT, owner)
    if document is None:
        return
    try:
        ec2 = context.clients.get("ec2", scope, document["RoleArn"], document["SourceArn"])
        ec2.delete_network_interface(NetworkInterfaceId=document["NetworkInterfaceId"])
    except (AccessDenied, ClientError) as error:
        log.warning("the network interface %s stays: %s", document["NetworkInterfaceId"], error)
    context.store.delete(scope, DOCUMENT, owner)
