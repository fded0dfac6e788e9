"""The model registry: model package groups, and the versions in them with their approval."""

import time
from typing import Any

from local_cloud.sagemaker import arns, events, group_policy, tags
from local_cloud.sagemaker.cloud import Call
from local_cloud.sagemaker.errors import ConflictException, ValidationException
from local_cloud.sagemaker.paging import page, summary
from local_cloud.sagemaker.service import Operation, SageMaker
from local_cloud.sagemaker.store import Document, Scope

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


def create_group(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    name = request["ModelPackageGroupName"]
    arn = arns.arn(call.scope, "model-package-group", name)
    with service.store.transaction():
        if service.store.get(call.scope, "group", name) is not None:
            raise ValidationException(f"Model Package Group already exists: {arn}")
        tags.set_at_creation(service, call, arn, request)
        service.store.put(call.scope, "group", name, {
            "ModelPackageGroupName": name,
            "ModelPackageGroupArn": arn,
            "CreationTime": time.time(),
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        } | summary(request, "ModelPackageGroupDescription"))  # fmt: skip
    return {"ModelPackageGroupArn": arn}


def delete_group(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    home = group_policy.home_of(service, call, "DeleteModelPackageGroup", request["ModelPackageGroupName"])
    with service.store.transaction():
        group = _existing_group(service, home, request["ModelPackageGroupName"])
        name = group["ModelPackageGroupName"]
        if _versions(service, home, name):
            raise ConflictException(f"Model Package Group {name} cannot be deleted: it still contains model packages.")
        service.store.delete(home, "group", name)
        group_policy.forget(service, home, name)
        tags.forget(service, call, group["ModelPackageGroupArn"])
    return {}


def _existing_group(service: SageMaker, scope: Scope, name_or_arn: str) -> Document:
    name = arns.name_of(name_or_arn)
    group = service.store.get(scope, "group", name)
    if group is None:
        raise ValidationException(f"ModelPackageGroup {arns.arn(scope, 'model-package-group', name)} does not exist.")
    return group


def _versions(service: SageMaker, scope: Scope, group: str) -> list[Document]:
    _remove_deleted(service, scope)
    return service.store.find(scope, "package", f"{group}/")


def _remove_deleted(service: SageMaker, scope: Scope) -> None:
    """Called before versions are read, so that no thread is needed, and none is lost with a restart."""
    for deletion in service.store.find(scope, "package-deletion"):
        if deletion["At"] <= time.time():
            service.store.delete(scope, "package", deletion["Name"])
            service.store.delete(scope, "package-deletion", deletion["Name"])


def _refuse_deleting(package: Document) -> None:
    if package["ModelPackageStatus"] == "Deleting":
        raise ConflictException(f"ModelPackage {package['ModelPackageArn']} is being deleted.")


def existing_package(service: SageMaker, scope: Scope, name_or_arn: str) -> Document:
    """Of the account that its ARN names; whether the caller may have it is not asked here."""
    home = arns.scope_of(name_or_arn, scope)
    _remove_deleted(service, home)
    package = service.store.get(home, "package", arns.name_of(name_or_arn))
    if package is None:
        raise ValidationException(f"ModelPackage {name_or_arn} does not exist.")
    return package


def _describe_group(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    name = request["ModelPackageGroupName"]
    return _existing_group(service, group_policy.home_of(service, call, "DescribeModelPackageGroup", name), name)


def _list_groups(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    members = ("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime",
               "ModelPackageGroupStatus")  # fmt: skip
    groups = service.store.find(call.scope, "group")
    found = [summary(group, *members) for group in groups
             if request.get("NameContains", "") in group["ModelPackageGroupName"]]  # fmt: skip
    return page(found, request, "ModelPackageGroupSummaryList", newest_first=False)


def _create_package(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    if "ModelPackageGroupName" not in request or "ModelPackageName" in request:
        raise ValidationException(
            "The local cloud registers versions of a model package group only: give ModelPackageGroupName, and not "
            "ModelPackageName."
        )
    if request.get("Tags"):
        raise ValidationException("Tags cannot be added to a version of a model package group.")
    home = group_policy.home_of(service, call, "CreateModelPackage", request["ModelPackageGroupName"])
    with service.store.transaction():
        group = _existing_group(service, home, request["ModelPackageGroupName"])["ModelPackageGroupName"]
        token = f"{group}/{request['ClientToken']}" if "ClientToken" in request else None
        _remove_deleted(service, home)
        known = service.store.get(home, "package-token", token) if token else None
        if known is not None and service.store.get(home, "package", arns.name_of(known["ModelPackageArn"])):
            return {"ModelPackageArn": known["ModelPackageArn"]}
        version = service.store.get(home, "last-version", group) or {"Version": 0}
        number = version["Version"] + 1  # numbers of deleted versions are not used again
        arn, now = arns.arn(home, "model-package", f"{group}/{number}"), time.time()
        package = {key: value for key, value in request.items() if key not in ("ClientToken", "Tags")} | {
            "ModelPackageName": group,
            "ModelPackageGroupName": group,
            "ModelPackageVersion": number,
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        service.store.put(home, "last-version", group, {"Version": number})
        service.store.put(home, "package", f"{group}/{number}", package)
        if token:
            service.store.put(home, "package-token", token, {"ModelPackageArn": arn})
    events.model_package_changed(service.cloud, home, package, [])
    return {"ModelPackageArn": arn}


def _describe_package(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    name = request["ModelPackageName"]
    return existing_package(service, group_policy.home_of(service, call, "DescribeModelPackage", name), name)


def _update_package(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    home = group_policy.home_of(service, call, "UpdateModelPackage", request["ModelPackageArn"])
    with service.store.transaction():
        package = existing_package(service, home, request["ModelPackageArn"])
        _refuse_deleting(package)
        changes = summary(request, *(name for name in _NOTED_CHANGES if name != "CustomerMetadataProperties"))
        properties = package.get("CustomerMetadataProperties", {}) | request.get("CustomerMetadataProperties", {})
        for name in request.get("CustomerMetadataPropertiesToRemove", []):
            properties.pop(name, None)
        if properties != package.get("CustomerMetadataProperties", {}):
            changes["CustomerMetadataProperties"] = properties
        updated = [
            shown for name, shown in _NOTED_CHANGES.items() if name in changes and changes[name] != package.get(name)
        ]
        name = f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}"
        package = service.store.update(home, "package", name, **changes, LastModifiedTime=time.time())
    events.model_package_changed(service.cloud, home, package, updated)
    return {"ModelPackageArn": package["ModelPackageArn"]}


def _delete_package(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    home = group_policy.home_of(service, call, "DeleteModelPackage", request["ModelPackageName"])
    with service.store.transaction():
        package = existing_package(service, home, request["ModelPackageName"])
        _refuse_deleting(package)
        name = f"{package['ModelPackageGroupName']}/{package['ModelPackageVersion']}"
        service.store.update(home, "package", name, ModelPackageStatus="Deleting")
        service.store.put(home, "package-deletion", name, {"Name": name, "At": time.time() + _DELETING_SECONDS})
    return {}


def _list_packages(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    if "ModelPackageGroupName" in request:
        home = group_policy.home_of(service, call, "ListModelPackages", request["ModelPackageGroupName"])
        group = _existing_group(service, home, request["ModelPackageGroupName"])["ModelPackageGroupName"]
        packages = _versions(service, home, group)
    else:
        _remove_deleted(service, call.scope)
        packages = service.store.find(call.scope, "package")
    # Without a group AWS lists packages that are in none, unless it is asked for versions; here all are versions.
    wanted = request.get("ModelPackageType", "Versioned" if "ModelPackageGroupName" in request else "Unversioned")
    if wanted == "Unversioned":
        packages = []
    approval = request.get("ModelApprovalStatus")
    members = ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription",
               "CreationTime", "ModelPackageStatus", "ModelApprovalStatus")  # fmt: skip
    found = [summary(package, *members) for package in packages
             if (approval is None or package["ModelApprovalStatus"] == approval)
             and request.get("NameContains", "") in package["ModelPackageGroupName"]]  # fmt: skip
    return page(found, request, "ModelPackageSummaryList", newest_first=False)


OPERATIONS: dict[str, Operation] = {
    "CreateModelPackageGroup": create_group,
    "DescribeModelPackageGroup": _describe_group,
    "ListModelPackageGroups": _list_groups,
    "DeleteModelPackageGroup": delete_group,
    "CreateModelPackage": _create_package,
    "DescribeModelPackage": _describe_package,
    "UpdateModelPackage": _update_package,
    "DeleteModelPackage": _delete_package,
    "ListModelPackages": _list_packages,
}
