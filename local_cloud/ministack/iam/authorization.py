"""Who may do what: the IAM action and resource of a SageMaker request, further permissions, and condition keys."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.errors import AccessDenied
from local_cloud.sagemaker.core.store import Scope

NAME = "sagemaker"
PRINCIPAL = "sagemaker.amazonaws.com"
INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")


def install() -> None:
    iam_actions.SERVICE_TO_IAM_NAMESPACE[NAME] = NAME
    iam_actions.extract_iam_action = _action_of(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _resource_of(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_approval(_with_namespace(iam_actions.request_tag_context))
    iam_evaluator._resolve_condition_key = _role_as_principal(iam_evaluator._resolve_condition_key)


def authorizer(access_key: str, scope: Scope) -> Callable[..., None]:
    """Asks whether the key's holder may do something; condition keys are given as ``**{"namespace:key": value}``."""

    def authorize(action: str, resource_arn: str, **context: Any) -> None:
        if action == "iam:PassRole":
            context = {"iam:passedtoservice": PRINCIPAL} | context
        denied = iam_evaluator.enforce(
            access_key, action, action.split(":")[0], scope.region, resource_arn=resource_arn, service_context=context
        )
        if denied is not None:
            principal = getattr(denied, "principal_arn", "")
            explicit = getattr(denied, "decision", "") == "Deny"
            raise AccessDenied(iam_actions.identity_denial_message(action, principal, resource_arn, explicit))

    return authorize


def resource_authorizer(access_key: str, scope: Scope) -> Callable[[str | None, str, str], None]:
    """Judges by the policy of a resource in another account; the caller's own has been judged by then."""

    def authorize_with_policy(policy: str | None, action: str, resource_arn: str) -> None:
        caller = iam_evaluator.resolve_principal(access_key, scope.account)
        assert isinstance(caller, iam_evaluator.PrincipalInfo), "the request was authenticated"
        context = iam_evaluator.EvalContext(
            principal_arn=caller.arn, principal_type=caller.type, principal_account=caller.account, action=action,
            resource_arn=resource_arn, region=scope.region, principal_keys=caller.keys,
        )  # fmt: skip
        if policy is None or iam_evaluator.evaluate_resource_policy(policy, context).decision != "Allow":
            raise AccessDenied(
                f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource_arn} because no "
                f"resource-based policy allows the {action} action"
            )

    return authorize_with_policy


def _action_of(original: Callable[..., str | None]) -> Callable[..., str | None]:
    def extract(service: str, method: str, path: str, *rest: Any) -> str | None:
        if service == NAME and INVOCATION.fullmatch(path):
            return "sagemaker:InvokeEndpoint"
        return original(service, method, path, *rest)

    return extract


def _resource_of(original: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any],
        region: str, account: str,
    ) -> str:  # fmt: skip
        if service != NAME:
            return original(service, method, path, headers, body, query, region, account)
        scope = Scope(account, region)
        invocation = INVOCATION.fullmatch(path)
        if invocation is not None:
            return arns.arn(scope, "endpoint", unquote(invocation.group(1)))
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            return "*"
        operation = headers.get("x-amz-target", "").partition(".")[2]
        return arns.resource_of(operation, request if isinstance(request, dict) else {}, scope)

    return extract


def _with_namespace(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``cloudwatch:namespace`` of PutMetricData, which ministack leaves out: what is conditioned on it was denied.

    The SDK and the AWS CLI send AWS JSON (botocore prefers it), older ones a form, which stands in ``params``. CBOR,
    which CloudWatch's model lists too, ministack reads with a package only that is not installed here.
    """

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, action, body, params)
        if action == "cloudwatch:PutMetricData":
            namespace = _member(body, "Namespace") if body.startswith(b"{") else params.get("Namespace")
            namespace = namespace[0] if isinstance(namespace, list) and namespace else namespace
            if isinstance(namespace, str):
                found = found | {"cloudwatch:namespace": namespace}
        return found

    return context


def _with_approval(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """``sagemaker:ModelApprovalStatus`` of a model package that is created or updated; absent where the request is.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
    """

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found = original(service, action, body, params)
        if action in ("sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"):
            status = _member(body, "ModelApprovalStatus")
            if isinstance(status, str):
                found = found | {"sagemaker:modelapprovalstatus": status}
        return found

    return context


def _member(body: bytes, name: str) -> Any:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document.get(name) if isinstance(document, dict) else None


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
