"""Models, endpoint configurations and endpoints, and InvokeEndpoint.

An endpoint is one process that serves its first production variant. An update starts the new process, and only when
it answers ``/ping`` does it take over; if it does not, the old one goes on serving and the endpoint is InService with
its old configuration: the silent rollback that AWS has, too.
"""

import time
from typing import Any

from local_cloud.sagemaker import arns, endpoint_process, group_policy, network, quotas, tags
from local_cloud.sagemaker.cloud import Call
from local_cloud.sagemaker.endpoint_runner import Hosting, announce
from local_cloud.sagemaker.errors import ValidationException
from local_cloud.sagemaker.paging import page, summary
from local_cloud.sagemaker.registry import existing_package
from local_cloud.sagemaker.service import Operation, SageMaker
from local_cloud.sagemaker.store import Document

__all__ = ["OPERATIONS", "Hosting"]


def _existing(service: SageMaker, call: Call, kind: str, name: str, noun: str) -> Document:
    document = service.store.get(call.scope, kind, name)
    if document is None:
        raise ValidationException(f'Could not find {noun} "{arns.arn(call.scope, kind, name)}".')
    return document


def _servable_package(service: SageMaker, call: Call, name_or_arn: str) -> Document:
    """Making a model of another account's version is an action on that version as well, for both sides' policies."""
    home = group_policy.home_of(service, call, "CreateModel", name_or_arn)
    if home.account != call.scope.account:
        call.authorize("sagemaker:CreateModel", name_or_arn)
    return existing_package(service, home, name_or_arn)


def _create_model(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    containers = request.get("Containers") or [request.get("PrimaryContainer")]
    if len(containers) != 1 or containers[0] is None:
        raise ValidationException("The local cloud serves models with exactly one container.")
    container = containers[0]
    if "ModelPackageName" in container:
        package = _servable_package(service, call, container["ModelPackageName"])
        if package["ModelApprovalStatus"] != "Approved":
            raise ValidationException(
                f"Cannot create a model from {package['ModelPackageArn']}: its approval status is "
                f"{package['ModelApprovalStatus']}, not Approved."
            )
    elif "Image" not in container:
        raise ValidationException("A container needs an Image or a ModelPackageName.")
    if not {"Image", "ModelDataUrl"} <= endpoint_process.served_container(service, call.scope, request).keys():
        raise ValidationException("The local cloud serves containers with an Image and a ModelDataUrl only.")
    if "ExecutionRoleArn" not in request:
        raise ValidationException("The local cloud serves models with an ExecutionRoleArn only.")
    call.authorize("iam:PassRole", request["ExecutionRoleArn"])
    name = request["ModelName"]
    arn = arns.arn(call.scope, "model", name)
    role, source = request["ExecutionRoleArn"], endpoint_process.source_arn(call.scope)
    network.require_network(service, call.scope, request, role, source)
    with service.store.transaction():
        if service.store.get(call.scope, "model", name) is not None:
            raise ValidationException(f'Cannot create already existing model "{arn}".')
        tags.set_at_creation(service, call, arn, request)
        model = {key: value for key, value in request.items() if key != "Tags"}
        service.store.put(call.scope, "model", name, model | {"ModelArn": arn, "CreationTime": time.time()})
    return {"ModelArn": arn}


def _describe_model(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return _existing(service, call, "model", request["ModelName"], "model")


def _delete_model(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    model = _existing(service, call, "model", request["ModelName"], "model")
    service.store.delete(call.scope, "model", model["ModelName"])
    tags.forget(service, call, model["ModelArn"])
    return {}


def _list_models(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    members = ("ModelName", "ModelArn", "CreationTime")
    found = [summary(model, *members) for model in service.store.find(call.scope, "model")
             if request.get("NameContains", "") in model["ModelName"]]  # fmt: skip
    return page(found, request, "Models")


def _create_config(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    if len(request["ProductionVariants"]) != 1:
        raise ValidationException("The local cloud serves endpoints with exactly one production variant.")
    for variant in request["ProductionVariants"]:
        if "ModelName" not in variant:
            raise ValidationException("The local cloud serves production variants with a ModelName only.")
        _existing(service, call, "model", variant["ModelName"], "model")
    name = request["EndpointConfigName"]
    arn = arns.arn(call.scope, "endpoint-config", name)
    with service.store.transaction():
        if service.store.get(call.scope, "endpoint-config", name) is not None:
            raise ValidationException(f'Cannot create already existing endpoint configuration "{arn}".')
        tags.set_at_creation(service, call, arn, request)
        config = {key: value for key, value in request.items() if key != "Tags"}
        config |= {"EndpointConfigArn": arn, "CreationTime": time.time()}
        service.store.put(call.scope, "endpoint-config", name, config)
    return {"EndpointConfigArn": arn}


def _describe_config(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return _existing(service, call, "endpoint-config", request["EndpointConfigName"], "endpoint configuration")


def _delete_config(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    config = _describe_config(service, call, request)
    service.store.delete(call.scope, "endpoint-config", config["EndpointConfigName"])
    tags.forget(service, call, config["EndpointConfigArn"])
    return {}


def _list_configs(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    members = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    found = [summary(config, *members) for config in service.store.find(call.scope, "endpoint-config")
             if request.get("NameContains", "") in config["EndpointConfigName"]]  # fmt: skip
    return page(found, request, "EndpointConfigs")


def _create_endpoint(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    name, now = request["EndpointName"], time.time()
    config = _describe_config(service, call, request)
    call.authorize("sagemaker:CreateEndpoint", config["EndpointConfigArn"])
    arn = arns.arn(call.scope, "endpoint", name)
    with service.store.transaction():
        if service.store.get(call.scope, "endpoint", name) is not None:
            raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
        quotas.require_for_endpoint(service, call.scope, config)
        tags.set_at_creation(service, call, arn, request)
        endpoint = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": config["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        service.store.put(call.scope, "endpoint", name, endpoint)
    announce(service, call.scope, endpoint)
    service.hosting.deploy(call.scope, name, config["EndpointConfigName"])
    return {"EndpointArn": arn}


def _update_endpoint(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    config = _describe_config(service, call, request)
    call.authorize("sagemaker:UpdateEndpoint", config["EndpointConfigArn"])
    with service.store.transaction():
        endpoint = _existing(service, call, "endpoint", request["EndpointName"], "endpoint")
        if endpoint["EndpointStatus"] != "InService":
            raise ValidationException(
                f'Cannot update endpoint "{endpoint["EndpointArn"]}": its status is {endpoint["EndpointStatus"]}.'
            )
        quotas.require_for_endpoint(service, call.scope, config)
        endpoint = service.store.update(
            call.scope, "endpoint", endpoint["EndpointName"], EndpointStatus="Updating", LastModifiedTime=time.time(),
            PendingDeploymentSummary={"EndpointConfigName": config["EndpointConfigName"]},
        )  # fmt: skip
    announce(service, call.scope, endpoint)
    service.hosting.deploy(call.scope, endpoint["EndpointName"], config["EndpointConfigName"])
    return {"EndpointArn": endpoint["EndpointArn"]}


def _describe_endpoint(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return _existing(service, call, "endpoint", request["EndpointName"], "endpoint")


def _delete_endpoint(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    endpoint = _describe_endpoint(service, call, request)
    service.hosting.withdraw(call.scope, endpoint["EndpointName"])
    network.detach(service, call.scope, f"endpoint/{endpoint['EndpointName']}")
    service.store.delete(call.scope, "endpoint", endpoint["EndpointName"])
    tags.forget(service, call, endpoint["EndpointArn"])
    announce(service, call.scope, endpoint | {"EndpointStatus": "Deleting"})
    return {}


def _list_endpoints(service: SageMaker, call: Call, request: dict[str, Any]) -> dict[str, Any]:
    members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    found = [summary(endpoint, *members) for endpoint in service.store.find(call.scope, "endpoint")
             if request.get("NameContains", "") in endpoint["EndpointName"]
             and request.get("StatusEquals", endpoint["EndpointStatus"]) == endpoint["EndpointStatus"]]  # fmt: skip
    return page(found, request, "Endpoints")


OPERATIONS: dict[str, Operation] = {
    "CreateModel": _create_model,
    "DescribeModel": _describe_model,
    "DeleteModel": _delete_model,
    "ListModels": _list_models,
    "CreateEndpointConfig": _create_config,
    "DescribeEndpointConfig": _describe_config,
    "DeleteEndpointConfig": _delete_config,
    "ListEndpointConfigs": _list_configs,
    "CreateEndpoint": _create_endpoint,
    "UpdateEndpoint": _update_endpoint,
    "DescribeEndpoint": _describe_endpoint,
    "DeleteEndpoint": _delete_endpoint,
    "ListEndpoints": _list_endpoints,
}
