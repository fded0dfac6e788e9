"""CloudFormation, Lambda and EC2: each parameter that our code passes has its effect."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import make_role, policy
from tried import tries

Connect = Callable[[str], Any]
HANDLER = "def handle(event, context): return {'asked': event}"


def name() -> str:
    return f"tried-{secrets.token_hex(5)}"


def template(**properties: Any) -> str:
    parameters = {"Seconds": {"Type": "String", "Default": "10"}}
    queue = {"VisibilityTimeout": {"Ref": "Seconds"}} | properties
    resources = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": queue}}
    outputs = {"Url": {"Value": {"Ref": "Queue"}}}
    return json.dumps({"Parameters": parameters, "Resources": resources, "Outputs": outputs})


def wait(connect: Connect, stack: str, what: str) -> None:
    connect("cloudformation").get_waiter(what).wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def timeout_of(connect: Connect, stack: str) -> str:
    (found,) = connect("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    url = found["Outputs"][0]["OutputValue"]
    answer = connect("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    return str(answer["Attributes"]["VisibilityTimeout"])


def upload(connect: Connect, bucket: str, text: str) -> str:
    key = f"{name()}.json"
    connect("s3").put_object(Bucket=bucket, Key=key, Body=text)
    return f"{connect('s3').meta.endpoint_url}/{bucket}/{key}"


@tries("cloudformation.CreateStack", "StackName TemplateURL Parameters Capabilities RoleARN Tags")
@tries("cloudformation.UpdateStack", "StackName TemplateURL Parameters Capabilities")
@tries("cloudformation.GetTemplateSummary", "TemplateURL")
@tries("cloudformation.DescribeStacks", "StackName")
@tries("cloudformation.DescribeStackEvents", "StackName")
@tries("cloudformation.DeleteStack", "StackName")
@tries("cloudformation.ListStacks", "StackStatusFilter")
def test_stacks(connect: Connect, bucket: str) -> None:
    client, stack, role = connect("cloudformation"), name(), name()
    url = upload(connect, bucket, template())
    summary = client.get_template_summary(TemplateURL=url)["Parameters"]
    assert [item["ParameterKey"] for item in summary] == ["Seconds"]
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    connect("iam").create_role(RoleName=role, AssumeRolePolicyDocument=policy(trust))
    arn = f"arn:aws:iam::000000000000:role/{role}"
    given = {"TemplateURL": url, "Parameters": [{"ParameterKey": "Seconds", "ParameterValue": "20"}]}
    client.create_stack(StackName=stack, **given, RoleARN=arn)  # which may do nothing
    with pytest.raises(Exception, match="terminal failure state"):
        wait(connect, stack, "stack_create_complete")
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    assert any("sqs:createqueue" in str(event.get("ResourceStatusReason", "")).lower() for event in events)
    client.delete_stack(StackName=stack)
    wait(connect, stack, "stack_delete_complete")
    client.create_stack(StackName=stack, **given, Tags=[{"Key": "team", "Value": "birds"}])
    wait(connect, stack, "stack_create_complete")
    assert timeout_of(connect, stack) == "20"
    (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    assert found["Tags"] == [{"Key": "team", "Value": "birds"}]
    changed = [{"ParameterKey": "Seconds", "ParameterValue": "30"}]
    other = [{"ParameterKey": "Minutes", "ParameterValue": "1"}]
    with pytest.raises(ClientError, match=r"Parameters: \[Minutes\] do not exist in the template"):
        client.update_stack(StackName=stack, TemplateURL=url, Parameters=[*changed, *other])
    client.update_stack(StackName=stack, TemplateURL=url, Parameters=changed)
    wait(connect, stack, "stack_update_complete")
    assert timeout_of(connect, stack) == "30"

    def listed(*statuses: str) -> set[str]:
        found = client.list_stacks(StackStatusFilter=list(statuses))["StackSummaries"]
        return {item["StackName"] for item in found if item["StackName"] == stack}

    assert listed("UPDATE_COMPLETE") == {stack}
    assert listed("CREATE_COMPLETE") == set()
    named = upload(connect, bucket, json.dumps({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {
        "RoleName": f"{role}-2", "AssumeRolePolicyDocument": json.loads(policy(trust))}}}}))  # fmt: skip
    for call in (client.create_stack, client.update_stack):
        with pytest.raises(ClientError, match="CAPABILITY_NAMED_IAM"):
            call(StackName=f"{stack}-2" if call == client.create_stack else stack, TemplateURL=named)
    client.create_stack(StackName=f"{stack}-2", TemplateURL=named, Capabilities=["CAPABILITY_NAMED_IAM"])
    wait(connect, f"{stack}-2", "stack_create_complete")


@tries("cloudformation.UpdateTerminationProtection", "StackName EnableTerminationProtection")
def test_protection(connect: Connect) -> None:
    client, stack = connect("cloudformation"), name()
    client.create_stack(StackName=stack, TemplateBody=template())
    wait(connect, stack, "stack_create_complete")
    client.update_termination_protection(StackName=stack, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        client.delete_stack(StackName=stack)
    client.update_termination_protection(StackName=stack, EnableTerminationProtection=False)
    client.delete_stack(StackName=stack)
    wait(connect, stack, "stack_delete_complete")


@tries("cloudformation.CreateChangeSet", "StackName ChangeSetName ChangeSetType TemplateBody ResourcesToImport")
@tries("cloudformation.DescribeChangeSet", "StackName ChangeSetName")
@tries("cloudformation.DeleteChangeSet", "StackName ChangeSetName")
@tries("cloudformation.ExecuteChangeSet", "StackName ChangeSetName")
def test_change_sets(connect: Connect) -> None:
    """An import, as `headrace adopt` makes it: a bucket that is there becomes the stack's."""
    client, stack, bucket = connect("cloudformation"), name(), name()
    connect("s3").create_bucket(Bucket=bucket)
    properties = {"BucketName": bucket}
    data = {"Type": "AWS::S3::Bucket", "Properties": properties, "DeletionPolicy": "Retain"}
    body = json.dumps({"Resources": {"Data": data}})
    wanted = [{"ResourceType": "AWS::S3::Bucket", "LogicalResourceId": "Data", "ResourceIdentifier": properties}]
    for change in ("first", "second"):
        client.create_change_set(
            StackName=stack, ChangeSetName=change, ChangeSetType="IMPORT", TemplateBody=body, ResourcesToImport=wanted
        )
        client.get_waiter("change_set_create_complete").wait(
            StackName=stack, ChangeSetName=change, WaiterConfig={"Delay": 1}
        )
        described = client.describe_change_set(StackName=stack, ChangeSetName=change)
        assert described["ChangeSetName"] == change
        assert [item["ResourceChange"]["Action"] for item in described["Changes"]] == ["Import"]
        if change == "first":
            client.delete_change_set(StackName=stack, ChangeSetName=change)
            with pytest.raises(ClientError, match="ChangeSetNotFound"):
                client.describe_change_set(StackName=stack, ChangeSetName=change)
    client.execute_change_set(StackName=stack, ChangeSetName="second")
    wait(connect, stack, "stack_import_complete")
    (resource,) = client.describe_stack_resources(StackName=stack)["StackResources"]
    assert resource["PhysicalResourceId"] == bucket


@tries("lambda.Invoke", "FunctionName Payload")
@tries("lambda.GetFunctionConfiguration", "FunctionName")
def test_functions(connect: Connect) -> None:
    buffer, function = io.BytesIO(), name()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", HANDLER)
    connect("lambda").create_function(
        FunctionName=function, Runtime="python3.13", Handler="index.handle", Code={"ZipFile": buffer.getvalue()},
        Role=make_role(connect("iam"), function, ["logs:*"], ["*"]),
        LoggingConfig={"LogFormat": "Text", "LogGroup": f"/elsewhere/{function}"},
    )  # fmt: skip
    answer = connect("lambda").invoke(FunctionName=function, Payload=json.dumps({"a": 1}))
    assert json.loads(answer["Payload"].read()) == {"asked": {"a": 1}}
    found = connect("lambda").get_function_configuration(FunctionName=function)
    assert found["LoggingConfig"]["LogGroup"] == f"/elsewhere/{function}"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        connect("lambda").get_function_configuration(FunctionName=f"{function}-2")


@tries("ec2.DescribeSubnets", "SubnetIds")
@tries("ec2.DescribeSecurityGroups", "GroupIds")
@tries("ec2.CreateNetworkInterface", "SubnetId Groups Description")
@tries("ec2.DescribeNetworkInterfaces", "Filters")
@tries("ec2.DeleteNetworkInterface", "NetworkInterfaceId")
@tries("ec2.DescribeAvailabilityZones", "")
def test_networks(connect: Connect) -> None:
    ec2 = connect("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)]
    groups = [ec2.create_security_group(VpcId=vpc, GroupName=name(), Description="d")["GroupId"] for _ in range(2)]
    assert [item["SubnetId"] for item in ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"]] == subnets[:1]
    found = ec2.describe_security_groups(GroupIds=groups[1:])["SecurityGroups"]
    assert [item["GroupId"] for item in found] == groups[1:]
    made = [
        ec2.create_network_interface(SubnetId=subnet, Groups=[group], Description=f"of {group}")["NetworkInterface"]
        for subnet, group in zip(subnets, groups, strict=True)
    ]
    filters = [{"Name": "group-id", "Values": groups[:1]}]
    (one,) = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert one["NetworkInterfaceId"] == made[0]["NetworkInterfaceId"]
    assert (one["SubnetId"], one["Description"]) == (subnets[0], f"of {groups[0]}")
    assert [group["GroupId"] for group in one["Groups"]] == groups[:1]
    by_subnet = ec2.describe_network_interfaces(Filters=[{"Name": "subnet-id", "Values": subnets[1:]}])
    assert [item["NetworkInterfaceId"] for item in by_subnet["NetworkInterfaces"]] == [made[1]["NetworkInterfaceId"]]
    ec2.delete_network_interface(NetworkInterfaceId=made[0]["NetworkInterfaceId"])
    assert ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"] == []
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert {zone["RegionName"] for zone in zones} == {"us-east-1"}
