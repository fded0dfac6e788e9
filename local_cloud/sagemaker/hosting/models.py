"""Models: create, describe, delete, list."""

import time
from typing import Any

from local_cloud.sagemaker.containers import images, vpc
from local_cloud.sagemaker.core import arns, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import ApprovalStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.hosting import model_server
from local_cloud.sagemaker.hosting.lookup import existing, require_new
from local_cloud.sagemaker.registry import group_policy
from local_cloud.sagemaker.registry.model_packages import existing_package


class Models:
    """A model has one container, with an image and an archive, or a model package that names both."""

    def __init__(self, context: Context) -> None:
        self._context, self._store = context, context.store

    def operations(self) -> Operations:
        return {
            "CreateModel": self._create,
            "DescribeModel": self._describe,
            "DeleteModel": self._delete,
            "ListModels": self._list,
        }

    def require_served(self, request: dict[str, Any]) -> dict[str, Any]:
        """The container; raises ValidationException for what the local cloud does not serve."""
        containers = request.get("Containers") or [request.get("PrimaryContainer")]
        if len(containers) != 1 or containers[0] is None:
            raise ValidationException("The local cloud serves models with exactly one container.")
        container: dict[str, Any] = containers[0]
        if "ModelPackageName" not in container:
            if "Image" not in container:
                raise ValidationException("A container needs an Image or a ModelPackageName.")
            _require_files(container)
        if "ExecutionRoleArn" not in request:
            raise ValidationException("The local cloud serves models with an ExecutionRoleArn only.")
        return container

    def require_servable(self, request: dict[str, Any]) -> None:
        """Raises ValidationException for an image without a counterpart that serves models."""
        container = self.require_served(request)
        if "Image" in container:
            images.require_servable(self._context, container["Image"])

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        container = self.require_served(request)
        if "ModelPackageName" in container:
            package = self._servable_package(call, container["ModelPackageName"])
            if package["ModelApprovalStatus"] != ApprovalStatus.APPROVED:
                raise ValidationException(
                    f"Cannot create a model from {package['ModelPackageArn']}: its approval status is "
                    f"{package['ModelApprovalStatus']}, not Approved."
                )
        served = model_server.served_container(self._context, call.scope, request)
        _require_files(served)
        images.require_servable(self._context, served["Image"])
        call.authorize("iam:PassRole", request["ExecutionRoleArn"])
        name = request["ModelName"]
        arn = arns.arn(call.scope, "model", name)
        role, source = request["ExecutionRoleArn"], model_server.source_arn(call.scope)
        vpc.require_network(self._context, call.scope, request, role, source)
        with self._store.transaction():
            require_new(self._store, call.scope, DocumentKind.MODEL, name)
            tags.tag_on_create(self._store, call, arn, request)
            model = {"EnableNetworkIsolation": False} | {key: value for key, value in request.items() if key != "Tags"}
            self._store.put(
                call.scope, DocumentKind.MODEL, name, model | {"ModelArn": arn, "CreationTime": time.time()}
            )
        return {"ModelArn": arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return existing(self._store, call.scope, DocumentKind.MODEL, request["ModelName"])

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        model = existing(self._store, call.scope, DocumentKind.MODEL, request["ModelName"])
        self._store.delete(call.scope, DocumentKind.MODEL, model["ModelName"])
        tags.delete(self._store, call.scope, model["ModelArn"])
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ModelName", "ModelArn", "CreationTime")
        found = [pick(model, *members) for model in self._store.find(call.scope, DocumentKind.MODEL)
                 if request.get("NameContains", "") in model["ModelName"]]  # fmt: skip
        return page(found, request, "Models")

    def _servable_package(self, call: Call, name_or_arn: str) -> Document:
        """Making a model of another account's version is also an action on that version, for the policies of both."""
        home = group_policy.owning_scope(self._context, call, "CreateModel", name_or_arn)
        if home.account != call.scope.account:
            call.authorize("sagemaker:CreateModel", name_or_arn)
        return existing_package(self._context, home, name_or_arn)


def _require_files(container: dict[str, Any]) -> None:
    if not {"Image", "ModelDataUrl"} <= container.keys():
        raise ValidationException("The local cloud serves containers with an Image and a ModelDataUrl only.")
