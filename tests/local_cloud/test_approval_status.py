"""IAM decides by the approval status that a request asks for: ``sagemaker:ModelApprovalStatus``."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_cloud.process import Running

ACCOUNT, REGION, GROUP = "000000000000", "us-east-1", "approvals"
VERSIONS = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{GROUP}/*"
SPECIFICATION = {
    "Containers": [{"Image": "pytorch", "ModelDataUrl": "s3://bucket/runs/model.tar.gz"}],
    "SupportedContentTypes": [],
    "SupportedResponseMIMETypes": [],
}


@pytest.fixture(scope="module")
def as_role(cloud: Running, connect: Any) -> Any:
    """A SageMaker client of a role that may do `action` with one approval status."""

    def as_role(name: str, action: str, status: str) -> Any:
        trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
        condition = {"StringEquals": {"sagemaker:ModelApprovalStatus": status}}
        allow = {"Effect": "Allow", "Action": action, "Resource": VERSIONS, "Condition": condition}
        iam = connect("iam")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(allow))
        keys = connect("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], cloud.region)
        return session.client("sagemaker", endpoint_url=cloud.endpoint, verify=str(cloud.certificate))

    connect("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    return as_role


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_role_that_registers_pending_models_registers_no_approved_one(as_role: Any, connect: Any) -> None:
    registering = as_role("registers", "sagemaker:CreateModelPackage", "PendingManualApproval")
    for status in ({"ModelApprovalStatus": "Approved"}, {"ModelApprovalStatus": "Rejected"}, {}):
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateModelPackage"):
            registering.create_model_package(
                ModelPackageGroupName=GROUP, InferenceSpecification=SPECIFICATION, **status
            )
    registering.create_model_package(
        ModelPackageGroupName=GROUP,
        InferenceSpecification=SPECIFICATION,
        ModelApprovalStatus="PendingManualApproval",
    )
    listed = connect("sagemaker").list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert [package["ModelApprovalStatus"] for package in listed] == ["PendingManualApproval"]


def test_role_that_rejects_does_not_approve(as_role: Any, connect: Any) -> None:
    sagemaker = connect("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=GROUP, InferenceSpecification=SPECIFICATION)[
        "ModelPackageArn"
    ]
    rejecting = as_role("rejects", "sagemaker:UpdateModelPackage", "Rejected")
    for change in ({"ModelApprovalStatus": "Approved"}, {"CustomerMetadataProperties": {"Accuracy": "1.0"}}):
        with pytest.raises(ClientError, match="not authorized to perform: sagemaker:UpdateModelPackage"):
            rejecting.update_model_package(ModelPackageArn=arn, **change)
    rejecting.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Rejected"
