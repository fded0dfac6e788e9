"""For tests that run pipelines in a real local cloud: roles and who acts as them, definitions, waiting for the end."""

import json
import socket
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from eventually import eventually

from local_cloud.process import Running

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13-cpu"
BUCKET = "engine-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(cloud: Running, service: str, config: Config | None = None) -> Any:
    """A client of the root of the cloud's own account."""
    return boto3.client(
        service, endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=cloud.region,
        aws_access_key_id=cloud.account, aws_secret_access_key=cloud.secret_key(cloud.account), config=config,
    )  # fmt: skip


def make_role(iam: Any, name: str, actions: list[str], resources: list[str], source: str | None = None) -> str:
    """A role that SageMaker may assume, with one Allow statement; returns its ARN."""
    trust: dict[str, Any] = {
        "Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole",
    }  # fmt: skip
    if source is not None:
        trust["Condition"] = {"ArnLike": {"aws:SourceArn": source}}
    arn: str = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": actions, "Resource": resources}
    iam.put_role_policy(
        RoleName=name, PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    return arn


def processing_step(name: str, role: str, script: str, **more: Any) -> dict[str, Any]:
    """A step whose job runs a line of shell; what it leaves in /opt/ml/processing/out goes to S3."""
    output = {
        "OutputName": "out",
        "S3Output": {
            "S3Uri": {"Std:Join": {"On": "/", "Values": [
                f"s3://{BUCKET}/runs", {"Get": "Execution.PipelineExecutionId"}, name,
            ]}},
            "LocalPath": "/opt/ml/processing/out",
            "S3UploadMode": "EndOfJob",
        },
    }  # fmt: skip
    arguments = {
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/sh", "-c", script]},
        "ProcessingInputs": more.pop("inputs", []),
        "ProcessingOutputConfig": {"Outputs": [output]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": role,
    }
    if not arguments["ProcessingInputs"]:
        del arguments["ProcessingInputs"]
    return {"Name": name, "Type": "Processing", "Arguments": arguments} | more


def training_step(role: str, script: str, **more: Any) -> dict[str, Any]:
    arguments = {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["/bin/sh", "-c", script],
            "MetricDefinitions": [{"Name": "validation:accuracy", "Regex": "accuracy=([0-9.]+)"}],
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/trained"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "HyperParameters": {"epochs": "3"},
        "RoleArn": role,
    } | more  # fmt: skip
    return {"Name": "Train", "Type": "Training", "Arguments": arguments}


def definition(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    return json.dumps({"Version": "2020-12-01", "Parameters": parameters or [], "Steps": list(steps)})


def run(
    sagemaker: Any, name: str, text: str, role: str, parameters: dict[str, str] | None = None, seconds: float = 60
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Creates or updates the pipeline, runs it to its end; returns the execution and its steps by name."""
    try:
        sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=role)
    except ClientError as error:
        if "names must be unique" not in str(error):
            raise
        sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=role)
    given = [{"Name": key, "Value": value} for key, value in (parameters or {}).items()]
    arn = sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given)["PipelineExecutionArn"]
    return wait_for(sagemaker, arn, seconds)


def wait_for(sagemaker: Any, arn: str, seconds: float = 60) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return None if found["PipelineExecutionStatus"] in ("Executing", "Stopping") else found

    execution = eventually(f"{arn} has ended", look, seconds=seconds)
    steps = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return execution, {step["StepName"]: step for step in steps}


def read(s3: Any, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def outcome(connect: Callable[[str], Any], name: str, while_it_is: str) -> str:
    """The stack's status once it is another one; found by its ARN too when it is deleted."""

    def look() -> str | None:
        stacks = connect("cloudformation").list_stacks()["StackSummaries"]
        status = next(str(stack["StackStatus"]) for stack in stacks if stack["StackName"] == name)
        return None if status == while_it_is else status

    return eventually(f"{name} is no longer {while_it_is}", look, seconds=30)


def acting_as(
    connect: Callable[[str], Any], name: str, statements: list[dict[str, Any]], session: Any = boto3
) -> Callable[[str], Any]:
    """Clients of a new role with these statements, which anyone of the account may assume."""
    iam = connect("iam")
    arn = make_role(iam, name, ["sts:GetCallerIdentity"], ["*"])
    trust = {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=policy(trust))
    iam.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=policy(*statements))
    keys = connect("sts").assume_role(RoleArn=arn, RoleSessionName="anybody")["Credentials"]
    return lambda service: session.client(
        service, endpoint_url=iam.meta.endpoint_url, verify=iam._endpoint.http_session._verify,
        region_name="us-east-1", aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
    )  # fmt: skip


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
