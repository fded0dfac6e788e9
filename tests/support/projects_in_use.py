"""What tests of projects need: a template in S3, a launch role, a user who may create projects, and the clean-up."""

import json
import time
from typing import Any

import boto3

from local_cloud.process import Running

BUCKET = "templates"
REGION = "us-east-1"
TEMPLATE = """
Parameters:
  SageMakerProjectName: {Type: String}
  SageMakerProjectId: {Type: String}
  Seconds: {Type: Number, Default: 30}
  Boundary: {Type: String, Default: ''}
  Taken: {Type: String, Default: ''}
Conditions:
  HasBoundary: !Not [!Equals [!Ref Boundary, '']]
  IsTaken: !Not [!Equals [!Ref Taken, '']]
Resources:
  Data: {Type: AWS::S3::Bucket}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub '${SageMakerProjectName}-${SageMakerProjectId}'
      VisibilityTimeout: !Ref Seconds
  Role:
    Type: AWS::IAM::Role
    Properties:
      PermissionsBoundary: !If [HasBoundary, !Ref Boundary, !Ref AWS::NoValue]
      AssumeRolePolicyDocument:
        Statement: {Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}
      Policies:
        - PolicyName: send
          PolicyDocument: {Statement: {Effect: Allow, Action: 'sqs:*', Resource: !GetAtt Queue.Arn}}
  Second:
    Type: AWS::SQS::Queue
    Condition: IsTaken
    DependsOn: [Data, Role]
    Properties: {VisibilityTimeout: 1, KmsMasterKeyId: !Select [9, [!Ref Taken]]}
Outputs:
  DataBucketName: {Value: !Ref Data}
  QueueUrl: {Value: !Ref Queue}
"""
GRANTED = ["s3:*", "sqs:*", "iam:*", "lambda:*", "logs:*"]
MAY_CREATE = ["sagemaker:*", "cloudformation:*", "s3:GetObject", "iam:PassRole"]


def client(cloud: Running, service: str, key: tuple[str, str] | None = None) -> Any:
    key = key or (cloud.account, cloud.secret_key(cloud.account))
    return boto3.client(
        service, endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=cloud.region,
        aws_access_key_id=key[0], aws_secret_access_key=key[1],
    )  # fmt: skip


def put_template(cloud: Running, text: str = TEMPLATE, key: str = "headrace/template.yaml") -> str:
    """The template's URL as AWS writes it."""
    s3 = client(cloud, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    return f"https://{BUCKET}.s3.{REGION}.amazonaws.com/{key}"


def launch_role(
    cloud: Running, name: str, *statements: dict[str, Any], service: str = "cloudformation.amazonaws.com"
) -> str:
    """A role for CloudFormation; without statements it may do what the template above needs."""
    iam = client(cloud, "iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"][
        "Arn"
    ]
    allowed = statements or ({"Effect": "Allow", "Action": GRANTED, "Resource": "*"},)
    document = json.dumps({"Version": "2012-10-17", "Statement": list(allowed)})
    iam.put_role_policy(RoleName=name, PolicyName="launch", PolicyDocument=document)
    return arn


def user(cloud: Running, name: str, actions: list[str]) -> tuple[str, str]:
    """Access key and secret of a user who is allowed these actions."""
    iam = client(cloud, "iam")
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def provider(url: str, role: str | None = None, **parameters: str | None) -> dict[str, Any]:
    """A parameter of None keeps the value that it has."""
    given = [{"Key": key} | ({} if value is None else {"Value": value}) for key, value in parameters.items()]
    template = {"TemplateName": "headrace", "TemplateURL": url, "Parameters": given}
    return {"CfnTemplateProvider": template | ({"RoleARN": role} if role else {})}


def end_of(sagemaker: Any, name: str, *, seconds: float = 60) -> dict[str, Any]:
    """The project once nothing is in progress."""
    deadline = time.monotonic() + seconds
    while True:
        project: dict[str, Any] = sagemaker.describe_project(ProjectName=name)
        if not project["ProjectStatus"].endswith("InProgress"):
            return project
        assert time.monotonic() < deadline, project
        time.sleep(0.1)


def detail_of(project: dict[str, Any]) -> dict[str, Any]:
    detail: dict[str, Any] = project["TemplateProviderDetails"][0]["CfnTemplateProviderDetail"]
    return detail


def outputs_of(cloud: Running, project: dict[str, Any]) -> dict[str, str]:
    stack = client(cloud, "cloudformation").describe_stacks(StackName=detail_of(project)["StackDetail"]["Id"])
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Stacks"][0]["Outputs"]}
