"""Endpoint configurations: create, describe, delete, list."""

import time
from typing import Any

from local_cloud.sagemaker.core import arns, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.hosting.lookup import existing, require_new


class EndpointConfigs:
    """An endpoint configuration has one production variant, with a model."""

    def __init__(self, context: Context) -> None:
        self._store = context.store

    def operations(self) -> Operations:
        return {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": self._describe,
            "DeleteEndpointConfig": self._delete,
            "ListEndpointConfigs": self._list,
        }

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        require_served(request)
        existing(self._store, call.scope, DocumentKind.MODEL, request["ProductionVariants"][0]["ModelName"])
        name = request["EndpointConfigName"]
        arn = arns.arn(call.scope, "endpoint-config", name)
        with self._store.transaction():
            require_new(self._store, call.scope, DocumentKind.ENDPOINT_CONFIG, name)
            tags.tag_on_create(self._store, call, arn, request)
            config = {key: value for key, value in request.items() if key != "Tags"}
            config |= {"EndpointConfigArn": arn, "CreationTime": time.time()}
            self._store.put(call.scope, DocumentKind.ENDPOINT_CONFIG, name, config)
        return {"EndpointConfigArn": arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return existing(self._store, call.scope, DocumentKind.ENDPOINT_CONFIG, request["EndpointConfigName"])

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        config = self._describe(call, request)
        self._store.delete(call.scope, DocumentKind.ENDPOINT_CONFIG, config["EndpointConfigName"])
        tags.delete(self._store, call.scope, config["EndpointConfigArn"])
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        found = [pick(config, *members) for config in self._store.find(call.scope, DocumentKind.ENDPOINT_CONFIG)
                 if request.get("NameContains", "") in config["EndpointConfigName"]]  # fmt: skip
        return page(found, request, "EndpointConfigs")


def require_served(request: dict[str, Any]) -> None:
    """Raises ValidationException for what the local cloud does not serve."""
    if len(request["ProductionVariants"]) != 1:
        raise ValidationException("The local cloud serves endpoints with exactly one production variant.")
    if "ModelName" not in request["ProductionVariants"][0]:
        raise ValidationException("The local cloud serves production variants with a ModelName only.")
