"""Models, endpoint configurations and endpoints, and InvokeEndpoint.

An endpoint is one process that serves its first production variant. An update starts the new process, and only when
it answers ``/ping`` does it take over; if it does not, the old one goes on serving and the endpoint is InService with
its old configuration: the silent rollback that AWS has, too.
"""

import time
from typing import Any

from local_cloud.sagemaker.containers import vpc
from local_cloud.sagemaker.core import arns, quotas, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page, summary
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.hosting import model_server
from local_cloud.sagemaker.hosting.deployments import EndpointRunner, announce
from local_cloud.sagemaker.registry import group_policy
from local_cloud.sagemaker.registry.model_packages import existing_package


class Hosting:
    """Models, endpoint configurations and endpoints: create, describe, update, delete, list."""

    def __init__(self, context: Context, runner: EndpointRunner) -> None:
        self._context, self._store, self._runner = context, context.store, runner

    def operations(self) -> Operations:
        return {
            "CreateModel": self._create_model,
            "DescribeModel": self._describe_model,
            "DeleteModel": self._delete_model,
            "ListModels": self._list_models,
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "DeleteEndpointConfig": self._delete_config,
            "ListEndpointConfigs": self._list_configs,
            "CreateEndpoint": self._create_endpoint,
            "UpdateEndpoint": self._update_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
            "ListEndpoints": self._list_endpoints,
        }

    def _existing(self, call: Call, kind: str, name: str, noun: str) -> Document:
        document = self._store.get(call.scope, kind, name)
        if document is None:
            raise ValidationException(f'Could not find {noun} "{arns.arn(call.scope, kind, name)}".')
        return document

    def _servable_package(self, call: Call, name_or_arn: str) -> Document:
        """Making a model of another account's version is also an action on that version, for the policies of both."""
        home = group_policy.home_of(self._context, call, "CreateModel", name_or_arn)
        if home.account != call.scope.account:
            call.authorize("sagemaker:CreateModel", name_or_arn)
        return existing_package(self._context, home, name_or_arn)

    def _create_model(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        containers = request.get("Containers") or [request.get("PrimaryContainer")]
        if len(containers) != 1 or containers[0] is None:
            raise ValidationException("The local cloud serves models with exactly one container.")
        container = containers[0]
        if "ModelPackageName" in container:
            package = self._servable_package(call, container["ModelPackageName"])
            if package["ModelApprovalStatus"] != "Approved":
                raise ValidationException(
                    f"Cannot create a model from {package['ModelPackageArn']}: its approval status is "
                    f"{package['ModelApprovalStatus']}, not Approved."
                )
        elif "Image" not in container:
            raise ValidationException("A container needs an Image or a ModelPackageName.")
        if not {"Image", "ModelDataUrl"} <= model_server.served_container(self._context, call.scope, request).keys():
            raise ValidationException("The local cloud serves containers with an Image and a ModelDataUrl only.")
        if "ExecutionRoleArn" not in request:
            raise ValidationException("The local cloud serves models with an ExecutionRoleArn only.")
        call.authorize("iam:PassRole", request["ExecutionRoleArn"])
        name = request["ModelName"]
        arn = arns.arn(call.scope, "model", name)
        role, source = request["ExecutionRoleArn"], model_server.source_arn(call.scope)
        vpc.require_network(self._context, call.scope, request, role, source)
        with self._store.transaction():
            if self._store.get(call.scope, "model", name) is not None:
                raise ValidationException(f'Cannot create already existing model "{arn}".')
            tags.tag_on_create(self._store, call, arn, request)
            model = {key: value for key, value in request.items() if key != "Tags"}
            self._store.put(call.scope, "model", name, model | {"ModelArn": arn, "CreationTime": time.time()})
        return {"ModelArn": arn}

    def _describe_model(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, "model", request["ModelName"], "model")

    def _delete_model(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        model = self._existing(call, "model", request["ModelName"], "model")
        self._store.delete(call.scope, "model", model["ModelName"])
        tags.delete(self._store, call.scope, model["ModelArn"])
        return {}

    def _list_models(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ModelName", "ModelArn", "CreationTime")
        found = [summary(model, *members) for model in self._store.find(call.scope, "model")
                 if request.get("NameContains", "") in model["ModelName"]]  # fmt: skip
        return page(found, request, "Models")

    def _create_config(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        if len(request["ProductionVariants"]) != 1:
            raise ValidationException("The local cloud serves endpoints with exactly one production variant.")
        for variant in request["ProductionVariants"]:
            if "ModelName" not in variant:
                raise ValidationException("The local cloud serves production variants with a ModelName only.")
            self._existing(call, "model", variant["ModelName"], "model")
        name = request["EndpointConfigName"]
        arn = arns.arn(call.scope, "endpoint-config", name)
        with self._store.transaction():
            if self._store.get(call.scope, "endpoint-config", name) is not None:
                raise ValidationException(f'Cannot create already existing endpoint configuration "{arn}".')
            tags.tag_on_create(self._store, call, arn, request)
            config = {key: value for key, value in request.items() if key != "Tags"}
            config |= {"EndpointConfigArn": arn, "CreationTime": time.time()}
            self._store.put(call.scope, "endpoint-config", name, config)
        return {"EndpointConfigArn": arn}

    def _describe_config(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, "endpoint-config", request["EndpointConfigName"], "endpoint configuration")

    def _delete_config(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        config = self._describe_config(call, request)
        self._store.delete(call.scope, "endpoint-config", config["EndpointConfigName"])
        tags.delete(self._store, call.scope, config["EndpointConfigArn"])
        return {}

    def _list_configs(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        found = [summary(config, *members) for config in self._store.find(call.scope, "endpoint-config")
                 if request.get("NameContains", "") in config["EndpointConfigName"]]  # fmt: skip
        return page(found, request, "EndpointConfigs")

    def _create_endpoint(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name, now = request["EndpointName"], time.time()
        config = self._describe_config(call, request)
        call.authorize("sagemaker:CreateEndpoint", config["EndpointConfigArn"])
        arn = arns.arn(call.scope, "endpoint", name)
        with self._store.transaction():
            if self._store.get(call.scope, "endpoint", name) is not None:
                raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
            quotas.require_for_endpoint(self._context, call.scope, config)
            tags.tag_on_create(self._store, call, arn, request)
            endpoint = {
                "EndpointName": name,
                "EndpointArn": arn,
                "EndpointConfigName": config["EndpointConfigName"],
                "EndpointStatus": "Creating",
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._store.put(call.scope, "endpoint", name, endpoint)
        announce(self._context, call.scope, endpoint)
        self._runner.deploy(call.scope, name, config["EndpointConfigName"])
        return {"EndpointArn": arn}

    def _update_endpoint(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        config = self._describe_config(call, request)
        call.authorize("sagemaker:UpdateEndpoint", config["EndpointConfigArn"])
        with self._store.transaction():
            endpoint = self._existing(call, "endpoint", request["EndpointName"], "endpoint")
            if endpoint["EndpointStatus"] != "InService":
                raise ValidationException(
                    f'Cannot update endpoint "{endpoint["EndpointArn"]}": its status is {endpoint["EndpointStatus"]}.'
                )
            quotas.require_for_endpoint(self._context, call.scope, config)
            endpoint = self._store.update(
                call.scope, "endpoint", endpoint["EndpointName"], EndpointStatus="Updating",
                LastModifiedTime=time.time(),
                PendingDeploymentSummary={"EndpointConfigName": config["EndpointConfigName"]},
            )  # fmt: skip
        announce(self._context, call.scope, endpoint)
        self._runner.deploy(call.scope, endpoint["EndpointName"], config["EndpointConfigName"])
        return {"EndpointArn": endpoint["EndpointArn"]}

    def _describe_endpoint(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, "endpoint", request["EndpointName"], "endpoint")

    def _delete_endpoint(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        endpoint = self._describe_endpoint(call, request)
        self._runner.withdraw(call.scope, endpoint["EndpointName"])
        vpc.detach(self._context, call.scope, f"endpoint/{endpoint['EndpointName']}")
        self._store.delete(call.scope, "endpoint", endpoint["EndpointName"])
        tags.delete(self._store, call.scope, endpoint["EndpointArn"])
        announce(self._context, call.scope, endpoint | {"EndpointStatus": "Deleting"})
        return {}

    def _list_endpoints(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        found = [summary(endpoint, *members) for endpoint in self._store.find(call.scope, "endpoint")
                 if request.get("NameContains", "") in endpoint["EndpointName"]
                 and request.get("StatusEquals", endpoint["EndpointStatus"]) == endpoint["EndpointStatus"]]  # fmt: skip
        return page(found, request, "Endpoints")
