"""Names of resources that are global: one environment in two regions has the roles of each."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from pipeline_runs import policy

from local_cloud.process import Running

Connect = Callable[[str], Any]
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture
def in_region(cloud: Running) -> Callable[[str, str], Any]:
    return lambda service, region: boto3.client(
        service, endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=region,
        aws_access_key_id=cloud.account, aws_secret_access_key=cloud.secret_key(cloud.account),
    )  # fmt: skip


def template(bucket: str, **more: Any) -> str:
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    properties = {
        "AssumeRolePolicyDocument": json.loads(policy(TRUST)),
        "Policies": [{"PolicyName": "read", "PolicyDocument": json.loads(policy(allow))}],
    } | more
    resources = {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}, "Data": {"Type": "AWS::S3::Bucket"}}
    return json.dumps({"Resources": resources})


def put(client: Any, body: str, *, update: bool = False) -> dict[str, str]:
    """Physical ids by logical ones, once the stack is there."""
    call = client.update_stack if update else client.create_stack
    call(StackName="two-regions", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    waiter = client.get_waiter("stack_update_complete" if update else "stack_create_complete")
    waiter.wait(StackName="two-regions", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    resources = client.describe_stack_resources(StackName="two-regions")["StackResources"]
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}


def test_a_stack_in_a_second_region_leaves_the_firsts_roles_alone(
    connect: Connect, in_region: Callable[[str, str], Any]
) -> None:
    first, second = (in_region("cloudformation", region) for region in ("us-east-1", "eu-west-1"))
    mine = put(first, template("here"))
    other = put(second, template("there"))
    assert mine["Role"] != other["Role"]
    assert mine["Data"] != other["Data"]
    for role, bucket in ((mine["Role"], "here"), (other["Role"], "there")):
        document = connect("iam").get_role_policy(RoleName=role, PolicyName="read")["PolicyDocument"]
        assert document["Statement"][0]["Resource"] == f"arn:aws:s3:::{bucket}/*"
    assert put(first, template("changed"), update=True) == mine  # names stay when a stack is updated
    second.delete_stack(StackName="two-regions")
    second.get_waiter("stack_delete_complete").wait(StackName="two-regions", WaiterConfig={"Delay": 1})
    assert connect("iam").get_role(RoleName=mine["Role"])
    first.delete_stack(StackName="two-regions")
    first.get_waiter("stack_delete_complete").wait(StackName="two-regions", WaiterConfig={"Delay": 1})


def test_a_role_that_is_there_is_not_overwritten_by_name(
    connect: Connect, in_region: Callable[[str, str], Any]
) -> None:
    connect("iam").create_role(RoleName="taken", AssumeRolePolicyDocument=policy(TRUST))
    client = in_region("cloudformation", "us-east-1")
    client.create_stack(
        StackName="taking", TemplateBody=template("here", RoleName="taken"), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    with pytest.raises(Exception, match="terminal failure state"):
        client.get_waiter("stack_create_complete").wait(StackName="taking", WaiterConfig={"Delay": 1})
    events = client.describe_stack_events(StackName="taking")["StackEvents"]
    assert any("Role with name taken already exists" in item.get("ResourceStatusReason", "") for item in events)
    assert connect("iam").list_role_policies(RoleName="taken")["PolicyNames"] == []
