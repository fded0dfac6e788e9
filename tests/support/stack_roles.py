"""Acting as each role of a deployed stack."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import boto3

from headrace.client.environment import Environment


def roles_of(environment: Environment) -> dict[str, str]:
    """The stack's roles: what they are called in it, without the hash at the end, and in IAM."""
    pages = environment.client("cloudformation").get_paginator("list_stack_resources")
    return {
        item["LogicalResourceId"][:-8].removesuffix("Role"): item["PhysicalResourceId"]
        for page in pages.paginate(StackName=environment.stack_name)
        for item in page["StackResourceSummaries"]
        if item["ResourceType"] == "AWS::IAM::Role"
    }


def let_the_account_assume(environment: Environment, roles: Iterable[str]) -> None:
    """Beside the services that may: the test acts as each role."""
    assert environment.running is not None
    iam, account = environment.client("iam"), environment.running.account
    for role in roles:
        trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        trust["Statement"].append({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"})
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def client_of(environment: Environment, roles: Mapping[str, str], role: str, service: str) -> Any:
    running = environment.running
    assert running is not None
    arn = f"arn:aws:iam::{running.account}:role/{roles[role]}"
    keys = environment.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], running.region)
    return session.client(service, endpoint_url=running.endpoint, verify=str(running.certificate))
