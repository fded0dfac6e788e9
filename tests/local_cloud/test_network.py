"""Jobs and models in a VPC: it has to be there, it cannot go while they use it, and IAM is asked; isolated means so."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import IMAGE, acting_as, make_role, outcome

from local_cloud.process import Running
from local_cloud.sagemaker.containers.launcher import has_private_network

Connect = Callable[[str], Any]
CIDR = "10.0.0.0/16"


@dataclass(frozen=True, slots=True)
class Network:
    subnet: str
    group: str

    @property
    def vpc_config(self) -> dict[str, list[str]]:
        return {"SecurityGroupIds": [self.group], "Subnets": [self.subnet]}


@pytest.fixture
def network(connect: Connect) -> Iterator[Network]:
    """A VPC with one subnet and one group that lets its members in, by CloudFormation; gone afterwards."""
    vpc = {"Ref": "Vpc"}
    member = {"GroupId": {"Fn::GetAtt": ["Group", "GroupId"]}, "IpProtocol": "-1"}
    resources = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": CIDR}},
        "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": vpc, "CidrBlock": CIDR}},
        "Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {"VpcId": vpc, "GroupDescription": "jobs"}},
        "In": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": member | {"SourceSecurityGroupId": member["GroupId"]},
        },
        "Out": {
            "Type": "AWS::EC2::SecurityGroupEgress",
            "Properties": member | {"DestinationSecurityGroupId": member["GroupId"]},
        },
        "Flows": {
            "Type": "AWS::EC2::FlowLog",
            "Properties": {
                "ResourceId": vpc, "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "flows",
                "DeliverLogsPermissionArn": "arn:aws:iam::000000000000:role/flows",
            },
        },
    }  # fmt: skip
    formation = connect("cloudformation")
    formation.create_stack(StackName="network", TemplateBody=json.dumps({"Resources": resources}))
    assert outcome(connect, "network", "CREATE_IN_PROGRESS") == "CREATE_COMPLETE"
    made = {item["LogicalResourceId"]: item["PhysicalResourceId"]
            for item in formation.describe_stack_resources(StackName="network")["StackResources"]}  # fmt: skip
    yield Network(made["Subnet"], made["Group"])
    until_gone(connect, made["Subnet"])
    formation.delete_stack(StackName="network")
    deadline = time.monotonic() + 30
    while made["Vpc"] in [vpc["VpcId"] for vpc in connect("ec2").describe_vpcs()["Vpcs"]]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert connect("ec2").describe_flow_logs()["FlowLogs"] == []


@pytest.fixture(scope="module")
def in_vpc(connect: Connect, bucket: str) -> str:
    """A role that may have interfaces, beside all that a job needs."""
    return make_role(connect("iam"), "in-vpc", ["s3:*", "logs:*", "cloudwatch:*", "ec2:*"], ["*"])


def processing(role: str, script: str, **network: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": f"vpc-{time.time_ns()}",
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/sh", "-c", script]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": role,
        "NetworkConfig": network,
    }


def ended(sagemaker: Any, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while (job := sagemaker.describe_processing_job(ProcessingJobName=name))["ProcessingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found: dict[str, Any] = job
    return found


def run(connect: Connect, request: dict[str, Any]) -> dict[str, Any]:
    connect("sagemaker").create_processing_job(**request)
    return ended(connect("sagemaker"), request["ProcessingJobName"])


def interfaces(connect: Connect, subnet: str) -> list[dict[str, Any]]:
    asked = [{"Name": "subnet-id", "Values": [subnet]}]
    found: list[dict[str, Any]] = connect("ec2").describe_network_interfaces(Filters=asked)["NetworkInterfaces"]
    return found


def until_gone(connect: Connect, subnet: str) -> None:
    deadline = time.monotonic() + 10
    while interfaces(connect, subnet):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_group_lets_its_own_members_in_and_out(connect: Connect, network: Network) -> None:
    (group,) = connect("ec2").describe_security_groups(GroupIds=[network.group])["SecurityGroups"]
    for side in ("IpPermissions", "IpPermissionsEgress"):
        assert [pair["GroupId"] for rule in group[side] for pair in rule["UserIdGroupPairs"]] == [network.group]


def test_a_job_has_an_interface_while_it_runs_that_keeps_the_network_from_going(
    connect: Connect, network: Network, in_vpc: str
) -> None:
    request = processing(in_vpc, "sleep 60", VpcConfig=network.vpc_config)
    connect("sagemaker").create_processing_job(**request)
    deadline = time.monotonic() + 20
    while not interfaces(connect, network.subnet):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (interface,) = interfaces(connect, network.subnet)
    assert [group["GroupId"] for group in interface["Groups"]] == [network.group]
    connect("cloudformation").delete_stack(StackName="network")
    assert outcome(connect, "network", "DELETE_IN_PROGRESS") == "DELETE_FAILED"
    connect("sagemaker").stop_processing_job(ProcessingJobName=request["ProcessingJobName"])
    until_gone(connect, network.subnet)


@pytest.mark.parametrize(("member", "other", "message"), [
    ("Subnets", "subnet-0123", "The subnet ID 'subnet-0123' does not exist"),
    ("SecurityGroupIds", "sg-0a1b2c3d4e5f6a7b8", "The security group 'sg-0a1b2c3d4e5f6a7b8' does not exist"),
])  # fmt: skip
def test_what_ec2_does_not_have_is_refused_in_its_words(
    connect: Connect, network: Network, in_vpc: str, member: str, other: str, message: str
) -> None:
    request = processing(in_vpc, "true", VpcConfig=network.vpc_config | {member: [other]})
    with pytest.raises(ClientError, match=f"ValidationException.*{message}"):
        connect("sagemaker").create_processing_job(**request)


def test_a_subnet_and_a_group_of_two_networks_are_refused(connect: Connect, network: Network, in_vpc: str) -> None:
    (default, *_) = [item["GroupId"] for item in connect("ec2").describe_security_groups()["SecurityGroups"]
                     if item["GroupId"] != network.group]  # fmt: skip
    request = processing(in_vpc, "true", VpcConfig=network.vpc_config | {"SecurityGroupIds": [default]})
    with pytest.raises(ClientError, match="must be of one VPC"):
        connect("sagemaker").create_processing_job(**request)


def test_a_role_that_may_not_look_or_may_not_join_gets_no_job(connect: Connect, network: Network) -> None:
    blind = make_role(connect("iam"), "blind", ["s3:*", "logs:*"], ["*"])
    with pytest.raises(ClientError, match="not authorized to perform: ec2:DescribeSubnets"):
        connect("sagemaker").create_processing_job(**processing(blind, "true", VpcConfig=network.vpc_config))
    onlooker = make_role(connect("iam"), "onlooker", ["s3:*", "logs:*", "ec2:Describe*"], ["*"])
    job = run(connect, processing(onlooker, "true", VpcConfig=network.vpc_config))
    assert job["ProcessingJobStatus"] == "Failed"
    assert "not authorized to perform: ec2:CreateNetworkInterface" in job["FailureReason"]


def test_interfaces_are_deleted_only_where_the_role_may(connect: Connect, cloud: Running, network: Network) -> None:
    """The condition key ec2:Subnet, by which a role is confined to its own network."""
    confined = make_role(connect("iam"), "confined", ["logs:*", "ec2:Describe*", "ec2:CreateNetworkInterface"], ["*"])
    subnet = f"arn:aws:ec2:us-east-1:000000000000:subnet/{network.subnet}"
    for held_to, left in (("arn:aws:ec2:us-east-1:000000000000:subnet/another", 1), (subnet, 0)):
        statement = {
            "Effect": "Allow", "Action": "ec2:DeleteNetworkInterface", "Resource": "*",
            "Condition": {"ArnEquals": {"ec2:Subnet": held_to}},
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        connect("iam").put_role_policy(RoleName="confined", PolicyName="delete", PolicyDocument=policy)
        run(connect, processing(confined, "true", VpcConfig=network.vpc_config))
        time.sleep(0.5 if left else 0)
        if left:
            (interface,) = interfaces(connect, network.subnet)
            connect("ec2").delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
        else:
            until_gone(connect, network.subnet)


def test_iam_keeps_jobs_out_of_other_networks(connect: Connect, network: Network, in_vpc: str) -> None:
    """By the condition keys sagemaker:VpcSubnets and its like, of the request that creates a job."""
    statements = [
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"},
        {
            "Effect": "Allow", "Action": "sagemaker:CreateProcessingJob", "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"sagemaker:VpcSubnets": [network.subnet]},
                "Null": {"sagemaker:VpcSubnets": "false"},
                "Bool": {"sagemaker:NetworkIsolation": "true"},
            },
        },
    ]  # fmt: skip
    sagemaker = acting_as(connect, "starter", statements)("sagemaker")
    allowed = {"VpcConfig": network.vpc_config, "EnableNetworkIsolation": True}
    for wrong in ({}, allowed | {"EnableNetworkIsolation": False}, {"EnableNetworkIsolation": True},
                  allowed | {"VpcConfig": network.vpc_config | {"Subnets": [network.subnet, "subnet-1"]}}):  # fmt: skip
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateProcessingJob"):
            sagemaker.create_processing_job(**processing(in_vpc, "true", **wrong))
    request = processing(in_vpc, "true", **allowed)
    sagemaker.create_processing_job(**request)
    assert ended(connect("sagemaker"), request["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"


# Asks the local cloud itself, on the loopback of the machine.
CALL = """import os, socket
try:
    socket.create_connection(("127.0.0.1", {port}), 5)
    print("connected")
except OSError as error:
    print(error.strerror)
print("AWS_SECRET_ACCESS_KEY" in os.environ, "AWS_ENDPOINT_URL" in os.environ)
"""
MEET = """import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname(), 5)
print("met")
"""
needs_namespaces = pytest.mark.skipif(not has_private_network(), reason="this kernel lets nobody have his own network")


def said(connect: Connect, role: str, code: str, *, isolated: bool) -> str:
    """What a job prints that runs these lines of Python."""
    request = processing(role, 'python3 -c "$CODE" > /opt/ml/output/message', EnableNetworkIsolation=isolated)
    return str(run(connect, request | {"Environment": {"CODE": code}})["ExitMessage"])


@needs_namespaces
def test_an_isolated_job_has_neither_a_network_nor_credentials(connect: Connect, cloud: Running, in_vpc: str) -> None:
    code = CALL.format(port=cloud.endpoint.rpartition(":")[2])
    assert said(connect, in_vpc, code, isolated=True) == "Connection refused\nFalse False"
    assert said(connect, in_vpc, code, isolated=False) == "connected\nTrue True"


@needs_namespaces
def test_processes_of_an_isolated_job_meet_on_its_loopback(connect: Connect, in_vpc: str) -> None:
    assert said(connect, in_vpc, MEET, isolated=True) == "met"


def test_an_isolated_job_installs_from_its_wheels_alone(connect: Connect, in_vpc: str) -> None:
    script = "python3 -m pip install pillow==13.0.0 2> /opt/ml/output/message"
    job = run(connect, processing(in_vpc, script, EnableNetworkIsolation=True))
    said = "ERROR: Could not find a version that satisfies the requirement pillow==13.0.0 for Python 3."
    assert job["ExitMessage"].startswith(said)
    job = run(connect, processing(in_vpc, script, EnableNetworkIsolation=False))
    assert job["ProcessingJobStatus"] == "Completed", job
