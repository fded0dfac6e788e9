"""A project whose local cloud ends in the middle of an operation is what it was promised to be after the next start."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_cloud_in_use import kill
from projects_in_use import client, detail_of, end_of, launch_role, provider, put_template

from local_cloud import process
from local_cloud.process import Running

# Takes its time for the one kind of request that `SlowOn` names.
FUNCTION = """
import json, time, urllib.request
def handler(event, context):
    if event["RequestType"] == event["ResourceProperties"]["SlowOn"]:
        time.sleep(float(event["ResourceProperties"]["Seconds"]))
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "SUCCESS", "PhysicalResourceId": "slow"}
    body = json.dumps(answer).encode()
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], body, method="PUT"))
"""
TEMPLATE = f"""
Parameters:
  SlowOn: {{Type: String}}
  Seconds: {{Type: String}}
  Version: {{Type: String, Default: '1'}}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: {{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: 'sts:AssumeRole'}}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      Code: {{ZipFile: {json.dumps(FUNCTION)}}}
  Data: {{Type: AWS::S3::Bucket}}
  Slow:
    Type: Custom::Slow
    DependsOn: Data
    Properties:
      ServiceToken: !GetAtt Function.Arn
      SlowOn: !Ref SlowOn
      Seconds: !Ref Seconds
      Version: !Ref Version
"""


def stop(cloud: Running) -> None:
    process.stop(cloud.state)


def resource_in_progress(cloud: Running, name: str, operation: str) -> bool:
    stack = f"SP-{client(cloud, 'sagemaker').describe_project(ProjectName=name)['ProjectId']}"
    try:
        events = client(cloud, "cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    except ClientError:  # not yet there
        return False
    newest = events[0]
    return (newest["LogicalResourceId"], newest["ResourceStatus"]) == ("Slow", f"{operation.upper()}_IN_PROGRESS")


@pytest.mark.parametrize(
    ("operation", "end", "seconds"), [("Create", kill, "7"), ("Update", stop, "3"), ("Delete", stop, "3")]
)
def test_an_operation_that_was_cut_off_is_brought_to_its_end(
    mortal: Running, operation: str, end: Callable[[Running], None], seconds: str
) -> None:
    """What the first attempt had made is not left behind: there is one bucket, or none once the project is gone."""
    sagemaker: Any = client(mortal, "sagemaker")
    url, role = put_template(mortal, TEMPLATE), launch_role(mortal, "launch")
    slow = {"SlowOn": operation, "Seconds": seconds}
    sagemaker.create_project(ProjectName="cut", TemplateProviders=[provider(url, role, **slow)])
    if operation != "Create":
        assert end_of(sagemaker, "cut")["ProjectStatus"] == "CreateCompleted"
    if operation == "Update":
        changed = provider(url, **slow, Version="2")
        sagemaker.update_project(ProjectName="cut", TemplateProvidersToUpdate=[changed])
    if operation == "Delete":
        sagemaker.delete_project(ProjectName="cut")
    deadline = time.monotonic() + 30
    while not resource_in_progress(mortal, "cut", operation):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    end(mortal)
    cloud = process.start(mortal.state)
    sagemaker = client(cloud, "sagemaker")
    assert sagemaker.describe_project(ProjectName="cut")["ProjectStatus"] == f"{operation}InProgress"
    project = end_of(sagemaker, "cut")
    assert project["ProjectStatus"] == f"{operation}Completed", detail_of(project)
    made = [item["Name"] for item in client(cloud, "s3").list_buckets()["Buckets"] if item["Name"].startswith("sp-")]
    assert len(made) == (0 if operation == "Delete" else 1)


def test_cloudformation_leaves_no_stack_in_progress(mortal: Running) -> None:
    """Of any stack: a client that polls its status would wait forever."""
    cloudformation = client(mortal, "cloudformation")
    values = {"SlowOn": "Create", "Seconds": "9"}
    cloudformation.create_stack(
        StackName="cut", TemplateBody=TEMPLATE, Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )  # fmt: skip
    stop(mortal)
    cloudformation = client(process.start(mortal.state), "cloudformation")
    stack = cloudformation.describe_stacks(StackName="cut")["Stacks"][0]
    assert (stack["StackStatus"], stack["StackStatusReason"]) == (
        "CREATE_FAILED", "The local cloud ended in the middle of it.",
    )  # fmt: skip
    cloudformation.delete_stack(StackName="cut")
    while any(item["StackName"] == "cut" for item in cloudformation.describe_stacks()["Stacks"]):
        time.sleep(0.1)
