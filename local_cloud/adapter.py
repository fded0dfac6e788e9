"""Everything that touches ministack's internals, for the version that pyproject.toml pins.

It plugs the SageMaker service in (requests, IAM actions and resources, CloudFormation types, events, roles), puts
Lambda functions into an environment that holds what AWS's has, and saves ministack's state while it runs.
Importing this module imports ministack, which reads its settings from the environment: see `local_cloud.server`.
"""

import asyncio
import contextvars
import hashlib
import itertools
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses, router
from ministack.services import cloudwatch, eventbridge, iam, s3, sqs, sts
from ministack.services.cloudformation import provisioners

from local_cloud.sagemaker import api, arns, registry
from local_cloud.sagemaker.cloud import Call, Credentials, Gateway
from local_cloud.sagemaker.endpoint_runner import ModelError
from local_cloud.sagemaker.errors import AccessDenied, ServiceError
from local_cloud.sagemaker.images import image
from local_cloud.sagemaker.service import SageMaker
from local_cloud.sagemaker.store import Scope

log = logging.getLogger("headrace.adapter")

_NAME = "sagemaker"
_PRINCIPAL = "sagemaker.amazonaws.com"
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_SAVE_SECONDS = 5.0
_QUEUE_LENGTH = "ApproximateNumberOfMessagesVisible"

Answer = tuple[int, dict[str, str], bytes]


class MinistackCloud:
    """Implements `local_cloud.sagemaker.cloud.Cloud`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(account, None, name)
        if role is None or not _trusts_sagemaker(role.get("AssumeRolePolicyDocument", "{}"), role_arn, source_arn):
            raise AccessDenied(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{_PRINCIPAL}' to assume the role (on behalf of {source_arn})."
            )
        digest = hashlib.sha256(f"{_NAME}:{role_arn}".encode()).hexdigest()
        credentials = Credentials(f"ASIA{digest[:16].upper()}", digest, f"token-{digest}")
        sts.register_session(credentials.access_key_id, {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/SageMaker",
            "UserId": f"{role.get('RoleId', name)}:SageMaker",
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        })  # fmt: skip
        return credentials

    def publish(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "Resources": resources,
        }

        def put() -> None:
            with responses.request_scope(*scope):
                eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

        loop = app._MAIN_LOOP
        if loop is None or loop.is_closed():
            return  # the local cloud is ending
        # On the loop, as ministack's own emitters do: its stores are not made for other threads.
        loop.call_soon_threadsafe(put, context=contextvars.Context())


def _trusts_sagemaker(trust_policy: str | dict[str, Any], role_arn: str, source_arn: str) -> bool:
    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    context = iam_evaluator.EvalContext(
        principal_arn=_PRINCIPAL, principal_type="Service", principal_account="", action="sts:AssumeRole",
        resource_arn=role_arn, region="", source_ip="", secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]},
    )  # fmt: skip
    allowed = False
    for statement in document.get("Statement", []):
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if (
            "sts:AssumeRole" in actions
            and iam_evaluator._service_principal_matches(statement.get("Principal"), _PRINCIPAL)
            and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        ):
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed


def plug_in(service: SageMaker, images: Path) -> None:
    """Registers the service with ministack; before its server starts."""
    app.SERVICE_REGISTRY[_NAME] = {"module": _NAME}
    app.SERVICE_HANDLERS[_NAME] = _handler(service)
    router.SERVICE_PATTERNS[_NAME] = {
        "target_prefixes": ["SageMaker."],
        "credential_scope": _NAME,
        "host_patterns": [r"sagemaker\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[_NAME] = _NAME
    iam_actions.extract_iam_action = _action_of(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _resource_of(iam_actions.extract_resource_arn)
    cloudwatch._evaluate_alarm = _by_dimensions(cloudwatch._evaluate_alarm)
    iam_evaluator._resolve_condition_key = _role_as_principal(iam_evaluator._resolve_condition_key)
    s3._put_object, s3._build_object_record = _opaque_etags(s3._put_object, s3._build_object_record)
    buckets = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    buckets["create"] = _with_encryption(buckets["create"])
    buckets["delete"] = _only_if_empty(buckets["delete"])
    provisioners._RESOURCE_HANDLERS["AWS::SageMaker::ModelPackageGroup"] = _model_package_group(service)
    lambda_runtime._detect_runtime_binary = _isolated(lambda_runtime._detect_runtime_binary, images)


def _handler(service: SageMaker) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        return await asyncio.to_thread(_answer, service, path, headers, body, query)

    return handle


def _answer(service: SageMaker, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    scope = Scope(responses.get_account_id(), responses.get_region())
    invocation = _INVOCATION.fullmatch(path)
    if invocation is not None:
        return _invoke(service, scope, unquote(invocation.group(1)), headers, body)
    operation = headers.get("x-amz-target", "").partition(".")[2]
    call = Call(scope, _authorizer(router.extract_access_key_id(headers, query), scope))
    status, document = api.answer(service, operation, call, body)
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _invoke(service: SageMaker, scope: Scope, endpoint: str, headers: dict[str, str], body: bytes) -> Answer:
    content_type = headers.get("content-type", "application/octet-stream")
    # InvokeEndpoint carries the caller's Accept in a header of its own.
    accept = headers.get("x-amzn-sagemaker-accept") or headers.get("accept") or "application/json"
    try:
        answer_headers, content = service.hosting.invoke(scope, endpoint, body, content_type, accept)
    except ServiceError as error:
        members = error.members if isinstance(error, ModelError) else {}
        document = {"Message": str(error), "message": str(error), **members}
        answer_headers = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
        return error.status, answer_headers, json.dumps(document).encode()
    return 200, answer_headers, content


def _authorizer(access_key: str, scope: Scope) -> Callable[[str, str], None]:
    def authorize(action: str, resource_arn: str) -> None:
        context = {"iam:passedtoservice": _PRINCIPAL} if action == "iam:PassRole" else {}
        denied = iam_evaluator.enforce(
            access_key, action, action.split(":")[0], scope.region, resource_arn=resource_arn, service_context=context
        )
        if denied is not None:
            principal = getattr(denied, "principal_arn", "")
            explicit = getattr(denied, "decision", "") == "Deny"
            raise AccessDenied(iam_actions.identity_denial_message(action, principal, resource_arn, explicit))

    return authorize


def _action_of(original: Callable[..., str | None]) -> Callable[..., str | None]:
    def extract(service: str, method: str, path: str, *rest: Any) -> str | None:
        if service == _NAME and _INVOCATION.fullmatch(path):
            return "sagemaker:InvokeEndpoint"
        return original(service, method, path, *rest)

    return extract


def _resource_of(original: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any],
        region: str, account: str,
    ) -> str:  # fmt: skip
        if service != _NAME:
            return original(service, method, path, headers, body, query, region, account)
        scope = Scope(account, region)
        invocation = _INVOCATION.fullmatch(path)
        if invocation is not None:
            return arns.arn(scope, "endpoint", unquote(invocation.group(1)))
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return "*"
        operation = headers.get("x-amz-target", "").partition(".")[2]
        return arns.resource_of(operation, request if isinstance(request, dict) else {}, scope)

    return extract


def _role_as_principal(original: Callable[..., Any]) -> Callable[..., Any]:
    """``aws:PrincipalArn`` of an assumed role is the role's ARN, not the session's (IAM's guide, global keys)."""

    def resolve(key: str, context: Any) -> Any:
        value = original(key, context)
        if key.lower() == "aws:principalarn" and ":assumed-role/" in str(value):
            account, name = value.split(":")[4], value.split("/")[1]
            role = iam._roles.get_scoped(account, None, name)
            return role["Arn"] if role else value
        return value

    return resolve


def _opaque_etags(put: Callable[..., Any], build: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The ETag of an object encrypted with a KMS key is no hash of its content (S3's API reference, "Object").

    Whoever takes it for one would be right here and wrong on AWS.
    """
    encrypted = contextvars.ContextVar("encrypted", default=False)

    def put_object(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Any:
        asked = headers.get("x-amz-server-side-encryption", "") == "aws:kms"
        token = encrypted.set(asked or "aws:kms" in str(s3._bucket_encryption.get(bucket)))
        try:
            return put(bucket, key, body, headers)
        finally:
            encrypted.reset(token)

    def build_object_record(body: bytes, headers: dict[str, str], etag: str | None = None, **more: Any) -> Any:
        return build(body, headers, etag=f'"{secrets.token_hex(16)}"' if encrypted.get() else etag, **more)

    return put_object, build_object_record


def _with_encryption(original: Callable[..., Any]) -> Callable[..., Any]:
    """ministack's CloudFormation leaves ``BucketEncryption`` out; the bucket gets it by the API's own handler."""

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        answer = original(logical_id, properties, stack_name)
        for rule in properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
            default = rule.get("ServerSideEncryptionByDefault", {})
            key = default.get("KMSMasterKeyID")
            if not key:  # the AWS managed key, which ministack does not have
                continue
            document = (
                f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule><ApplyServerSideEncryptionByDefault>'
                f"<SSEAlgorithm>{default['SSEAlgorithm']}</SSEAlgorithm><KMSMasterKeyID>{escape(key)}</KMSMasterKeyID>"
                "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
            )
            s3._put_bucket_encryption(answer[0], document.encode())
        return answer

    return create


def _only_if_empty(original: Callable[..., None]) -> Callable[..., None]:
    """CloudFormation cannot delete a bucket that holds anything, be it only an old version."""

    def delete(name: str, properties: dict[str, Any]) -> None:
        bucket = s3._buckets.get(name)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
            raise ValueError(f"The bucket you tried to delete is not empty. You must delete all versions: {name}")
        original(name, properties)

    return delete


def _model_package_group(service: SageMaker) -> dict[str, Any]:
    """``AWS::SageMaker::ModelPackageGroup``; CloudFormation acts with the rights of whoever deploys."""

    def call() -> Call:
        scope = Scope(responses.get_account_id(), responses.get_region())
        return Call(scope, lambda action, resource: None)

    def attributes(name: str) -> dict[str, Any]:
        group = service.store.get(call().scope, "group", name) or {}
        return {"ModelPackageGroupArn": group.get("ModelPackageGroupArn"), "ModelPackageGroupStatus": "Completed"}

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        answer = registry.create_group(service, call(), properties)
        name = properties["ModelPackageGroupName"]
        return answer["ModelPackageGroupArn"], attributes(name)

    def update(arn: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        if old["ModelPackageGroupName"] != new["ModelPackageGroupName"]:
            delete(arn, old)
            return create("", new, stack_name)
        return arn, attributes(new["ModelPackageGroupName"])

    def delete(arn: str, properties: dict[str, Any]) -> None:
        try:
            registry.delete_group(service, call(), {"ModelPackageGroupName": arns.name_of(arn)})
        except ServiceError as error:
            raise ValueError(str(error)) from error

    return {"create": create, "update": update, "delete": delete}


def _isolated(original: Callable[[str], tuple[str, str]], images: Path) -> Callable[[str], tuple[str, str]]:
    """Python functions get an interpreter that has boto3 and the standard library, and nothing else of this machine."""

    def detect(runtime: str) -> tuple[str, str]:
        binary, worker = original(runtime)
        if runtime.startswith("python"):
            binary = str(image("lambda-python", images) / "bin" / "python")
        return binary, worker

    return detect


def _by_dimensions(original: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """An alarm looks at the metric with its own dimensions; ministack's looks at all of that name."""

    def evaluate(alarm: dict[str, Any]) -> None:
        dimensions = alarm.get("Dimensions") or {}
        named = cloudwatch._dims_from_list(dimensions) if isinstance(dimensions, list) else dimensions
        key, everything = cloudwatch._dims_key(named), cloudwatch._metrics
        cloudwatch._metrics = {name: points for name, points in everything.items() if name[2] == key}
        try:
            original(alarm)
        finally:
            cloudwatch._metrics = everything

    return evaluate


async def watch_queues() -> None:
    """The clock that ministack's alarms lack: every second the queues' length is a metric, and alarms are evaluated."""
    for tick in itertools.count():
        await asyncio.sleep(1)
        scopes = set()
        for (account, region, _), queue in list(sqs._queues._data.items()):
            scopes.add((account, region))
            now = time.time()
            length = sum(message["visible_at"] <= now for message in queue["messages"])
            if length or tick % 30 == 0:  # an empty queue says so now and then, so that an alarm can end
                with responses.request_scope(account, region):
                    dimensions = {"QueueName": queue["name"]}
                    cloudwatch.record_metric("AWS/SQS", _QUEUE_LENGTH, length, "Count", dimensions)
        for scope in scopes:
            with responses.request_scope(*scope):
                cloudwatch._evaluate_all_alarms()


async def save_regularly() -> None:
    """Saves every few seconds, so that a killed process loses seconds and not everything. On ministack's loop."""
    while True:
        await asyncio.sleep(_SAVE_SECONDS)
        save()


def end_functions() -> None:
    """Ends the processes of Lambda functions, which are kept warm between calls."""
    lambda_runtime.reset()


def save() -> None:
    app.save_all(app._build_persistence_save_dict())
