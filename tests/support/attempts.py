"""One call of each service that the local cloud serves, and the ways of making it without the right to."""

import datetime
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import boto3
import botocore.auth
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from stranger import Attempt

from local_cloud.process import Running

ROLE = "arn:aws:iam::000000000000:role/intruder"
OTHER = "222222222222"
HOST = "localhost"
TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}'
TEMPLATE = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
CODE = {"ZipFile": b"PK\x05\x06" + b"\0" * 18}
TARGET = {"Arn": "arn:aws:sqs:us-east-1:000000000000:intruder", "RoleArn": ROLE}
PRODUCT = {
    "ProvisioningArtifactParameters": {"Info": {"LoadTemplateFromURL": "https://s"}},
    "ProductType": "CLOUD_FORMATION_TEMPLATE",
}
STATES = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
MACHINE = {"name": "intruder", "definition": STATES, "roleArn": ROLE}
METRICS = [{"MetricName": "m", "Value": 1}]
OFF = {"Mode": "OFF"}

# The service name in a signature -> boto3's service, operation and parameters. Each call would create something or
# disclose something.
COST_TAGS = [{"TagKey": "intruder", "Status": "Active"}]
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "application-autoscaling": ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "ecs"}),
    "budgets": ("budgets", "describe_budgets", {"AccountId": "000000000000"}),
    "ce": ("ce", "update_cost_allocation_tags_status", {"CostAllocationTagsStatus": COST_TAGS}),
    "cloudformation": ("cloudformation", "create_stack", {"StackName": "intruder", "TemplateBody": TEMPLATE}),
    "cloudtrail": ("cloudtrail", "describe_trails", {}),
    "dynamodb": ("dynamodb", "list_tables", {}),
    "ec2": ("ec2", "create_vpc", {"CidrBlock": "10.66.0.0/16"}),
    "ecr": ("ecr", "create_repository", {"repositoryName": "intruder"}),
    "events": ("events", "put_rule", {"Name": "intruder", "ScheduleExpression": "rate(1 day)"}),
    "iam": ("iam", "create_role", {"RoleName": "intruder", "AssumeRolePolicyDocument": TRUST}),
    "kms": ("kms", "create_key", {}),
    "lambda": (
        "lambda", "create_function",
        {"FunctionName": "intruder", "Role": ROLE, "Runtime": "python3.12", "Handler": "a.b", "Code": CODE},
    ),
    "logs": ("logs", "create_log_group", {"logGroupName": "intruder"}),
    "monitoring": ("cloudwatch", "put_metric_data", {"Namespace": "I", "MetricData": METRICS}),
    "s3": ("s3", "create_bucket", {"Bucket": "intruder"}),
    "sagemaker": ("sagemaker", "create_model_package_group", {"ModelPackageGroupName": "intruder"}),
    "scheduler": (
        "scheduler", "create_schedule",
        {"Name": "intruder", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF, "Target": TARGET},
    ),
    "secretsmanager": ("secretsmanager", "create_secret", {"Name": "intruder", "SecretString": "s"}),
    "servicecatalog": ("servicecatalog", "search_products_as_admin", {}),
    "servicequotas": ("service-quotas", "list_service_quotas", {"ServiceCode": "vpc"}),
    "sns": ("sns", "create_topic", {"Name": "intruder"}),
    "sqs": ("sqs", "create_queue", {"QueueName": "intruder"}),
    "ssm": ("ssm", "put_parameter", {"Name": "intruder", "Value": "v", "Type": "String"}),
    "states": ("stepfunctions", "create_state_machine", MACHINE),
    "sts": ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "intruder"}),
    "tagging": ("resourcegroupstaggingapi", "get_resources", {}),
}  # fmt: skip
RUNTIME = ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "headrace-local", "Body": b"{}"})
OBJECT = ("s3", "put_object", {"Bucket": "engine-tests", "Key": "intruder", "Body": b"b"})


def signed(cloud: Running, call: tuple[str, str, dict[str, Any]], key: str, secret: str, token: str = "") -> Attempt:
    """The request as boto3 signs it, not sent."""
    service, operation, parameters = call
    client = boto3.client(
        service, endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=cloud.region,
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token or None,
        config=Config(s3={"addressing_style": "path"}, inject_host_prefix=False, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    kept: list[Any] = []

    def keep(request: Any, **named: Any) -> AWSResponse:
        kept.append(request)
        return AWSResponse(request.url, 418, {}, mock.Mock(stream=lambda: iter([b""])))

    client.meta.events.register("before-send", keep)
    try:
        getattr(client, operation)(**parameters)
    except Exception:
        assert kept, "the request was not signed"
    (request,) = kept
    url = urlsplit(request.url)
    body = request.body or b""
    body = body if isinstance(body, bytes) else body.read() if hasattr(body, "read") else body.encode()
    headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
        if name.lower() != "expect"
    }
    return Attempt(request.method, url.path + (f"?{url.query}" if url.query else ""), headers, body)


def signed_again(cloud: Running, good: Attempt, key: str, secret: str, token: str = "") -> Attempt:
    """The same request, signed by another principal. A separate client for each would take 0.2 s."""
    scope = good.headers["Authorization"].partition("Credential=")[2].split("/")
    kept = _without(good, "authorization", "x-amz-date", "x-amz-security-token", "content-length")
    request = AWSRequest(good.method, f"{cloud.endpoint}{good.path}", {"Host": HOST, **kept}, good.body)
    signer = S3SigV4Auth if scope[3] == "s3" else SigV4Auth
    signer(Credentials(key, secret, token or None), scope[3], scope[2]).add_auth(request)
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    return replace(good, headers={"Host": HOST, **texts})


def ways(cloud: Running, call: tuple[str, str, dict[str, Any]]) -> Iterator[tuple[str, Attempt]]:
    """By name, every way that has to be refused."""
    account = cloud.account
    secret = cloud.secret_key(account)
    good = signed(cloud, call, account, secret)
    yield "unsigned", replace(good, headers=_without(good, "authorization", "x-amz-date", "x-amz-content-sha256"))
    authorization = good.headers["Authorization"]
    head, _, signature = authorization.rpartition("Signature=")
    yield "bad signature", replace(good, headers={**good.headers, "Authorization": f"{head}Signature={'0' * 64}"})
    yield "Signature=0", replace(good, headers={**good.headers, "Authorization": f"{head}Signature=0"})
    no_key = authorization.replace(f"Credential={account}/", "Credential=/")
    yield "no key", replace(good, headers={**good.headers, "Authorization": no_key})
    assert signature
    for key, word in (("test", "test"), (account, "test"), (account, account), (account, "any"), ("AKIATEST", "test")):
        yield f"well-known {key}:{word}", signed_again(cloud, good, key, word)
    yield "another account's key", signed_again(cloud, good, OTHER, secret)
    digest = hashlib.sha256(f"sagemaker:{ROLE}".encode()).hexdigest()
    yield "a key made from an ARN", signed_again(cloud, good, f"ASIA{digest[:16].upper()}", digest, f"token-{digest}")
    yield "a token that is not the key's", signed_again(cloud, good, account, secret, "token")
    for minutes in (-16, 16):
        yield f"signed {minutes} minutes from now", _at(minutes, lambda: signed_again(cloud, good, account, secret))
    changed = good.body + b" "
    yield "another body", replace(good, body=changed)
    yield "another operation", replace(good, headers={**good.headers, "X-Amz-Target": "AmazonSQS.ListQueues"})


def _at(minutes: int, action: Callable[[], Attempt]) -> Attempt:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=then.replace(tzinfo=None)):
        return action()


def _without(attempt: Attempt, *names: str) -> dict[str, str]:
    return {name: value for name, value in attempt.headers.items() if name.lower() not in names}
