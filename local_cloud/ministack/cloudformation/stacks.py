"""CloudFormation's stacks: each resource needs a permission of the stack's role, and an interrupted operation ends.

ministack ignores a stack's RoleARN and acts as the account's root. Here a stack that was made, or updated, with a role
may create, update and delete only what `required` says that this role may.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import cloudformation, iam
from ministack.services.cloudformation import engine, handlers, helpers, provisioners, stacks

from local_cloud.ministack.cloud import assume, trusting_role
from local_cloud.ministack.cloudformation.permissions import Operation, Resource, required
from local_cloud.ministack.iam import sessions
from local_cloud.ministack.iam.authorization import authorizer
from local_cloud.sagemaker.core.errors import AccessDenied
from local_cloud.sagemaker.core.store import Scope

_SERVICE = "cloudformation.amazonaws.com"
# What an operation becomes whose process ended: the status from which CloudFormation lets it be tried again.
_CUT_OFF = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
}

_WITHOUT_RESOURCES = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "DELETE_COMPLETE")


def install() -> None:
    for action in ("CreateStack", "UpdateStack", "CreateChangeSet"):
        handlers._ACTION_HANDLERS[action] = _declared_parameters(handlers._ACTION_HANDLERS[action])
    for action in ("UpdateStack", "CreateChangeSet"):
        handlers._ACTION_HANDLERS[action] = _keeping_types(handlers._ACTION_HANDLERS[action])
    for action in ("CreateStack", "UpdateStack"):
        handlers._ACTION_HANDLERS[action] = _with_role(handlers._ACTION_HANDLERS[action])
    stacks._provision_resource = _checked_creation(stacks._provision_resource)
    stacks._update_resource = _checked_update(stacks._update_resource)
    stacks._delete_resource = _checked_deletion(stacks._delete_resource)
    roles = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    roles["create"], roles["update"] = _with_boundary(roles["create"], 1), _with_boundary(roles["update"], 2)
    provisioners._STACK_TAG_PROPERTY["AWS::SageMaker::ModelPackageGroup"] = ("Tags", "list")


def fail_interrupted_stacks() -> None:
    """Ends the operations that the previous process did not complete: no process continues them."""
    for stack in cloudformation._stacks._data.values():
        if stack["StackStatus"] in _CUT_OFF:
            stack["StackStatus"] = _CUT_OFF[stack["StackStatus"]]
            stack["StackStatusReason"] = "The local cloud ended in the middle of it."


def _with_role(original: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps the role that a request names; the operation itself starts after the request is answered."""

    def handle(params: dict[str, Any]) -> Any:
        role = handlers._p(params, "RoleARN")
        try:
            if role:
                trusting_role(role, _SERVICE, role)
        except AccessDenied:
            return handlers._error("ValidationError", f"Role {role} is invalid or cannot be assumed")
        answer = original(params)
        if role and answer[0] == 200:
            handlers._resolve_stack(handlers._p(params, "StackName"))["RoleARN"] = role
        return answer

    return handle


def _keeping_types(original: Callable[..., Any]) -> Callable[..., Any]:
    """ministack deletes a resource whose type changes and makes the other; CloudFormation refuses the template."""

    def handle(params: dict[str, Any]) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        body, _ = helpers._resolve_template(params)
        if stack and body and stack["StackStatus"] not in _WITHOUT_RESOURCES:
            try:
                old, new = (_types(text) for text in (stack.get("_template_body") or "{}", body))
            except ValueError:
                return original(params)  # which says what is wrong with the template
            if changed := sorted(name for name in old.keys() & new.keys() if old[name] != new[name]):
                return handlers._error(
                    "ValidationError",
                    "Update of resource type is not permitted. The new template modifies resource type of the "
                    f"following resources: [{', '.join(changed)}]",
                )
        return original(params)

    return handle


def _declared_parameters(original: Callable[..., Any]) -> Callable[..., Any]:
    """ministack ignores parameters that the template does not declare; CloudFormation refuses them by name."""

    def handle(params: dict[str, Any]) -> Any:
        given = [item["Key"] for item in helpers._extract_members(params, "Parameters")]
        body, _ = helpers._resolve_template(params) if given else (None, None)
        if body:
            try:
                declared = engine._parse_template(body).get("Parameters", {})
            except ValueError:
                return original(params)  # which says what is wrong with the template
            if unknown := [name for name in given if name not in declared]:
                return handlers._error(
                    "ValidationError", f"Parameters: [{', '.join(unknown)}] do not exist in the template"
                )
        return original(params)

    return handle


def _types(template: str) -> dict[str, Any]:
    resources = engine._parse_template(template).get("Resources", {})
    return {name: resource.get("Type") for name, resource in resources.items()}


def _check(stack_name: str, operation: Operation, resource: Resource) -> None:
    """Raises AccessDenied if the stack has a role, and that may not do this."""
    stack = cloudformation._stacks.get(stack_name) or {}
    role = stack.get("RoleARN")
    if not role:
        return
    scope = Scope(responses.get_account_id(), responses.get_region())
    credentials = assume(role, _SERVICE, stack["StackId"], session="AWSCloudFormation")
    authorize = authorizer(credentials.access_key_id, scope)
    try:
        for permission in required(operation, resource, scope):
            authorize(permission.action, permission.resource, **permission.context)
    finally:
        sessions.end(credentials)


def _checked_creation(original: Callable[..., Any]) -> Callable[..., Any]:
    def provision(kind: str, logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        lowercase = kind == "AWS::S3::Bucket"
        name = provisioners._physical_name(stack_name, logical_id, lowercase=lowercase, max_len=63)
        _check(stack_name, "create", Resource(kind, name, properties))
        return original(kind, logical_id, properties, stack_name)

    return provision


def _checked_update(original: Callable[..., Any]) -> Callable[..., Any]:
    def update(
        kind: str, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str, *rest: Any
    ) -> Any:
        if old != new:
            _check(stack_name, "update", Resource(kind, physical_id, new))
        return original(kind, physical_id, old, new, stack_name, *rest)

    return update


def _checked_deletion(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(kind: str, physical_id: str, properties: dict[str, Any], stack_name: str, *rest: Any) -> Any:
        _check(stack_name, "delete", Resource(kind, physical_id, properties))
        return original(kind, physical_id, properties, stack_name, *rest)

    return delete


def _with_boundary(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    """ministack's CloudFormation leaves a role's ``PermissionsBoundary`` out."""

    def make(*arguments: Any) -> Any:
        answer = original(*arguments)
        iam._roles[answer[0]]["PermissionsBoundary"] = arguments[position].get("PermissionsBoundary")
        return answer

    return make
