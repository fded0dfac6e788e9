"""Endpoints: create, update, describe, delete, list.

An endpoint is one process that serves its first production variant. An update starts the new process, and only when
it answers ``/ping`` does it take over; if it does not, the old one goes on serving and the endpoint is InService with
its old configuration: the silent rollback that AWS has.
"""

import time
from typing import Any

from local_cloud.sagemaker.containers import vpc
from local_cloud.sagemaker.core import arns, quotas, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import EndpointStatus
from local_cloud.sagemaker.hosting.deployments import EndpointRunner, announce
from local_cloud.sagemaker.hosting.lookup import existing, require_new


class Endpoints:
    """Records what a call asks for, and has `EndpointRunner` do it."""

    def __init__(self, context: Context, runner: EndpointRunner) -> None:
        self._context, self._store, self._runner = context, context.store, runner

    def operations(self) -> Operations:
        return {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "DescribeEndpoint": self._describe,
            "DeleteEndpoint": self._delete,
            "ListEndpoints": self._list,
        }

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, now = request["EndpointName"], time.time()
        config = existing(self._store, call.scope, DocumentKind.ENDPOINT_CONFIG, request["EndpointConfigName"])
        call.authorize("sagemaker:CreateEndpoint", config["EndpointConfigArn"])
        arn = arns.arn(call.scope, "endpoint", name)
        with self._store.transaction():
            require_new(self._store, call.scope, DocumentKind.ENDPOINT, name)
            quotas.require_for_endpoint(self._context, call.scope, config)
            tags.tag_on_create(self._store, call, arn, request)
            endpoint = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": config["EndpointConfigName"],
                "EndpointStatus": EndpointStatus.CREATING,
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._store.put(call.scope, DocumentKind.ENDPOINT, name, endpoint)
        announce(self._context, call.scope, endpoint)
        self._runner.deploy(call.scope, name, config["EndpointConfigName"])
        return {"EndpointArn": arn}

    def _update(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        config = existing(self._store, call.scope, DocumentKind.ENDPOINT_CONFIG, request["EndpointConfigName"])
        call.authorize("sagemaker:UpdateEndpoint", config["EndpointConfigArn"])
        with self._store.transaction():
            endpoint = existing(self._store, call.scope, DocumentKind.ENDPOINT, request["EndpointName"])
            if endpoint["EndpointStatus"] != EndpointStatus.IN_SERVICE:
                raise ValidationException(
                    f'Cannot update endpoint "{endpoint["EndpointArn"]}": its status is {endpoint["EndpointStatus"]}.'
                )
            quotas.require_for_endpoint(self._context, call.scope, config)
            endpoint = self._store.update(
                call.scope, DocumentKind.ENDPOINT, endpoint["EndpointName"], EndpointStatus=EndpointStatus.UPDATING,
                LastModifiedTime=time.time(),
                PendingDeploymentSummary={"EndpointConfigName": config["EndpointConfigName"]},
            )  # fmt: skip
        announce(self._context, call.scope, endpoint)
        self._runner.deploy(call.scope, endpoint["EndpointName"], config["EndpointConfigName"])
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return existing(self._store, call.scope, DocumentKind.ENDPOINT, request["EndpointName"])

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._describe(call, request)
        self._runner.delete(call.scope, endpoint["EndpointName"])
        vpc.detach(self._context, call.scope, f"endpoint/{endpoint['EndpointName']}")
        self._store.delete(call.scope, DocumentKind.ENDPOINT, endpoint["EndpointName"])
        tags.delete(self._store, call.scope, endpoint["EndpointArn"])
        announce(self._context, call.scope, endpoint | {"EndpointStatus": EndpointStatus.DELETING})
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        found = [pick(endpoint, *members) for endpoint in self._store.find(call.scope, DocumentKind.ENDPOINT)
                 if request.get("NameContains", "") in endpoint["EndpointName"]
                 and request.get("StatusEquals", endpoint["EndpointStatus"]) == endpoint["EndpointStatus"]]  # fmt: skip
        return page(found, request, "Endpoints")
