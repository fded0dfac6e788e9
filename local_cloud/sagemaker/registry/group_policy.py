"""Policies of model package groups: what other accounts may do with a group and its versions.

Within an account a caller's own policies decide; across accounts both have to allow it (IAM's guide, "Cross-account
policy evaluation logic"; SageMaker's, "Deploy a Model Version from a Different Account").
"""

import json
from typing import Any

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.store import Scope

_KIND = DocumentKind.GROUP_POLICY


def owning_scope(context: Context, call: Call, action: str, name_or_arn: str) -> Scope:
    """The account and region whose registry holds that group or version.

    Raises AccessDenied if it is another account's and the group's policy does not let the caller do that.
    """
    home = arns.scope_of(name_or_arn, call.scope)
    if home.region != call.scope.region:
        raise ValidationException(f"{name_or_arn} is in {home.region}, and this is {call.scope.region}.")
    if home.account != call.scope.account:
        known = context.store.get(home, _KIND, arns.name_of(name_or_arn).partition("/")[0])
        policy = None if known is None else known["ResourcePolicy"]
        call.authorize_with_policy(policy, f"sagemaker:{action}", _resource(action, name_or_arn, home))
    return home


def _resource(action: str, name_or_arn: str, home: Scope) -> str:
    of_versions = action in ("CreateModelPackage", "ListModelPackages")
    return arns.versions_of(name_or_arn, home) if of_versions else name_or_arn


def put(context: Context, scope: Scope, group: str, policy: str) -> None:
    try:
        parsed = json.loads(policy)
    except ValueError as error:
        raise ValidationException(f"The resource policy is not JSON: {error}") from error
    if not isinstance(parsed, dict) or not parsed.get("Statement"):
        raise ValidationException("The resource policy has no statement.")
    context.store.put(scope, _KIND, group, {"ResourcePolicy": policy})


def forget(context: Context, scope: Scope, group: str) -> None:
    context.store.delete(scope, _KIND, group)


class GroupPolicies:
    """Policies of model package groups: put, get, delete."""

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    def operations(self) -> Operations:
        return {
            "PutModelPackageGroupPolicy": self._put,
            "GetModelPackageGroupPolicy": self._get,
            "DeleteModelPackageGroupPolicy": self._delete,
        }

    def _existing_group(self, call: Call, request: dict[str, Any]) -> str:
        """Its name: these calls take no ARN."""
        name: str = request["ModelPackageGroupName"]
        if self._store.get(call.scope, DocumentKind.MODEL_PACKAGE_GROUP, name) is None:
            raise ValidationException(
                f"ModelPackageGroup {arns.arn(call.scope, 'model-package-group', name)} does not exist."
            )
        return name

    def _put(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = self._existing_group(call, request)
        put(self._context, call.scope, name, request["ResourcePolicy"])
        return {"ModelPackageGroupArn": arns.arn(call.scope, "model-package-group", name)}

    def _get(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = self._existing_group(call, request)
        known = self._store.get(call.scope, _KIND, name)
        if known is None:
            raise ValidationException(f"There is no resource policy for the Model Package Group {name}.")
        return known

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        forget(self._context, call.scope, self._existing_group(call, request))
        return {}
