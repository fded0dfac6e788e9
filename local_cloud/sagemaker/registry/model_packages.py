"""The model registry: model package groups, and the versions in them with their approval."""

import time
from typing import Any

from local_cloud.sagemaker.core import arns, events, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ConflictException, ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import ApprovalStatus, ModelPackageStatus
from local_cloud.sagemaker.core.store import Document, Scope
from local_cloud.sagemaker.registry import group_policy

# Members whose change an event lists; the reference of EventBridge writes sourceUri with a small letter.
_NOTED_CHANGES = {
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "CustomerMetadataProperties": "CustomerMetadataProperties",
    "InferenceSpecification": "InferenceSpecification",
    "ModelLifeCycle": "ModelLifeCycle",
    "SourceUri": "sourceUri",
}
# A version that is being deleted is listed for a while, as Deleting: DeleteModelPackage answers before it is gone.
_DELETING_SECONDS = 2.0


class ModelRegistry:
    """Model package groups and their versions: create, describe, update, delete, list."""

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    def operations(self) -> Operations:
        return {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": self._describe_group,
            "ListModelPackageGroups": self._list_groups,
            "DeleteModelPackageGroup": self._delete_group,
            "CreateModelPackage": self._create_package,
            "DescribeModelPackage": self._describe_package,
            "UpdateModelPackage": self._update_package,
            "DeleteModelPackage": self._delete_package,
            "ListModelPackages": self._list_packages,
        }

    def _create_group(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        arn = arns.arn(call.scope, "model-package-group", name)
        with self._store.transaction():
            if self._store.get(call.scope, DocumentKind.MODEL_PACKAGE_GROUP, name) is not None:
                raise ValidationException(f"Model Package Group already exists: {arn}")
            tags.tag_on_create(self._store, call, arn, request)
            self._store.put(call.scope, DocumentKind.MODEL_PACKAGE_GROUP, name, {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": arn,
                "CreationTime": time.time(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": ModelPackageStatus.COMPLETED,
            } | pick(request, "ModelPackageGroupDescription"))  # fmt: skip
        return {"ModelPackageGroupArn": arn}

    def _delete_group(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        home = group_policy.owning_scope(
            self._context, call, "DeleteModelPackageGroup", request["ModelPackageGroupName"]
        )
        with self._store.transaction():
            group = self._existing_group(home, request["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if self._versions(home, name):
                raise ConflictException(
                    f"Model Package Group {name} cannot be deleted: it still contains model packages."
                )
            self._store.delete(home, DocumentKind.MODEL_PACKAGE_GROUP, name)
            group_policy.forget(self._context, home, name)
            tags.delete(self._store, home, group["ModelPackageGroupArn"])
        return {}

    def _existing_group(self, scope: Scope, name_or_arn: str) -> Document:
        name = arns.name_of(name_or_arn)
        group = self._store.get(scope, DocumentKind.MODEL_PACKAGE_GROUP, name)
        if group is None:
            raise ValidationException(
                f"ModelPackageGroup {arns.arn(scope, 'model-package-group', name)} does not exist."
            )
        return group

    def _versions(self, scope: Scope, group: str) -> list[Document]:
        _remove_deleted(self._context, scope)
        return self._store.find(scope, DocumentKind.MODEL_PACKAGE, f"{group}/")

    def _describe_group(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        return self._existing_group(
            group_policy.owning_scope(self._context, call, "DescribeModelPackageGroup", name), name
        )

    def _list_groups(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
                   "ModelPackageGroupStatus")  # fmt: skip
        groups = self._store.find(call.scope, DocumentKind.MODEL_PACKAGE_GROUP)
        found = [pick(group, *members) for group in groups
                 if request.get("NameContains", "") in group["ModelPackageGroupName"]]  # fmt: skip
        return page(found, request, "ModelPackageGroupSummaryList", newest_first=False)

    def _create_package(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if "ModelPackageGroupName" not in request or "ModelPackageName" in request:
            raise ValidationException(
                "The local cloud registers versions of a model package group only: give ModelPackageGroupName, and not "
                "ModelPackageName."
            )
        if request.get("Tags"):
            raise ValidationException("Tags cannot be added to a version of a model package group.")
        home = group_policy.owning_scope(self._context, call, "CreateModelPackage", request["ModelPackageGroupName"])
        with self._store.transaction():
            group = self._existing_group(home, request["ModelPackageGroupName"])["ModelPackageGroupName"]
            token = f"{group}/{request['ClientToken']}" if "ClientToken" in request else None
            _remove_deleted(self._context, home)
            known = self._store.get(home, DocumentKind.MODEL_PACKAGE_TOKEN, token) if token else None
            if known is not None and self._store.get(
                home, DocumentKind.MODEL_PACKAGE, arns.name_of(known["ModelPackageArn"])
            ):
                return {"ModelPackageArn": known["ModelPackageArn"]}
            version = self._store.get(home, DocumentKind.LAST_VERSION, group) or {"Version": 0}
            number = version["Version"] + 1  # numbers of deleted versions are not used again
            arn, now = arns.arn(home, "model-package", f"{group}/{number}"), time.time()
            package = {key: value for key, value in request.items() if key not in ("ClientToken", "Tags")} | {
                "ModelPackageName": group,
                "ModelPackageGroupName": group,
                "ModelPackageVersion": number,
                "ModelPackageArn": arn,
                "ModelPackageStatus": ModelPackageStatus.COMPLETED,
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "ModelApprovalStatus": request.get("ModelApprovalStatus", ApprovalStatus.PENDING_MANUAL_APPROVAL),
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._store.put(home, DocumentKind.LAST_VERSION, group, {"Version": number})
            self._store.put(home, DocumentKind.MODEL_PACKAGE, f"{group}/{number}", package)
            if token:
                self._store.put(home, DocumentKind.MODEL_PACKAGE_TOKEN, token, {"ModelPackageArn": arn})
        events.model_package_changed(self._context.cloud, home, package, [])
        return {"ModelPackageArn": arn}

    def _describe_package(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageName"]
        return existing_package(
            self._context, group_policy.owning_scope(self._context, call, "DescribeModelPackage", name), name
        )

    def _update_package(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        home = group_policy.owning_scope(self._context, call, "UpdateModelPackage", request["ModelPackageArn"])
        with self._store.transaction():
            package = existing_package(self._context, home, request["ModelPackageArn"])
            _refuse_deleting(package)
            changes = pick(request, *(name for name in _NOTED_CHANGES if name != "CustomerMetadataProperties"))
            properties = package.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
            for name in request.get("CustomerMetadataPropertiesToRemove", []):
                properties.pop(name, None)
            if properties != package.get("CustomerMetadataProperties", {}):
                changes["CustomerMetadataProperties"] = properties
            updated = [
                shown
                for name, shown in _NOTED_CHANGES.items()
                if name in changes and changes[name] != package.get(name)
            ]
            name = f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}"
            package = self._store.update(
                home, DocumentKind.MODEL_PACKAGE, name, **changes, LastModifiedTime=time.time()
            )
        events.model_package_changed(self._context.cloud, home, package, updated)
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _delete_package(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        home = group_policy.owning_scope(self._context, call, "DeleteModelPackage", request["ModelPackageName"])
        with self._store.transaction():
            package = existing_package(self._context, home, request["ModelPackageName"])
            _refuse_deleting(package)
            name = f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}"
            self._store.update(home, DocumentKind.MODEL_PACKAGE, name, ModelPackageStatus=ModelPackageStatus.DELETING)
            self._store.put(
                home, DocumentKind.MODEL_PACKAGE_DELETION, name, {"Name": name, "At": time.time() + _DELETING_SECONDS}
            )
        return {}

    def _list_packages(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if "ModelPackageGroupName" in request:
            home = group_policy.owning_scope(self._context, call, "ListModelPackages", request["ModelPackageGroupName"])
            group = self._existing_group(home, request["ModelPackageGroupName"])["ModelPackageGroupName"]
            packages = self._versions(home, group)
        else:
            _remove_deleted(self._context, call.scope)
            packages = self._store.find(call.scope, DocumentKind.MODEL_PACKAGE)
        # Without a group AWS lists packages that are in none, unless it is asked for versions; here all are versions.
        wanted = request.get("ModelPackageType", "Versioned" if "ModelPackageGroupName" in request else "Unversioned")
        if wanted == "Unversioned":
            packages = []
        approval = request.get("ModelApprovalStatus")
        members = ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
                   "CreationTime", "ModelPackageStatus", "ModelApprovalStatus")  # fmt: skip
        found = [pick(package, *members) for package in packages
                 if (approval is None or package["ModelApprovalStatus"] == approval)
                 and request.get("NameContains", "") in package["ModelPackageGroupName"]]  # fmt: skip
        return page(found, request, "ModelPackageSummaryList", newest_first=False)


def _remove_deleted(context: Context, scope: Scope) -> None:
    """Called before versions are read, so that no thread is needed, and none is lost with a restart."""
    for deletion in context.store.find(scope, DocumentKind.MODEL_PACKAGE_DELETION):
        if deletion["At"] <= time.time():
            context.store.delete(scope, DocumentKind.MODEL_PACKAGE, deletion["Name"])
            context.store.delete(scope, DocumentKind.MODEL_PACKAGE_DELETION, deletion["Name"])


def _refuse_deleting(package: Document) -> None:
    if package["ModelPackageStatus"] == ModelPackageStatus.DELETING:
        raise ConflictException(f"ModelPackage {package['ModelPackageArn']} is being deleted.")


def existing_package(context: Context, scope: Scope, name_or_arn: str) -> Document:
    """Of the account that its ARN names; whether the caller may have it is not asked here."""
    home = arns.scope_of(name_or_arn, scope)
    _remove_deleted(context, home)
    package = context.store.get(home, DocumentKind.MODEL_PACKAGE, arns.name_of(name_or_arn))
    if package is None:
        raise ValidationException(f"ModelPackage {name_or_arn} does not exist.")
    return package
