"""The API: every call that is served, and the one place where a call becomes an answer."""

import json
from pathlib import Path
from typing import Any

from local_cloud.sagemaker import (
    executions,
    group_policy,
    hosting,
    parameters,
    pipelines,
    projects,
    registry,
    shapes,
    tags,
)
from local_cloud.sagemaker.account import account_file
from local_cloud.sagemaker.cloud import Call, Clients, Cloud
from local_cloud.sagemaker.engine.run import ExecutionRunner
from local_cloud.sagemaker.errors import ServiceError, ValidationException
from local_cloud.sagemaker.faults import Faults
from local_cloud.sagemaker.jobs import processing, training, training_run
from local_cloud.sagemaker.jobs.launcher import Launcher
from local_cloud.sagemaker.jobs.runner import JobRunner
from local_cloud.sagemaker.provisioning import Provisioning
from local_cloud.sagemaker.service import Operation, SageMaker
from local_cloud.sagemaker.store import Store

OPERATIONS: dict[str, Operation] = {
    **pipelines.OPERATIONS,
    **executions.OPERATIONS,
    **training.OPERATIONS,
    **processing.OPERATIONS,
    **registry.OPERATIONS,
    **group_policy.OPERATIONS,
    **hosting.OPERATIONS,
    **projects.OPERATIONS,
    **tags.OPERATIONS,
}


class UnknownOperation(ServiceError):
    code = "UnknownOperationException"


def assemble(cloud: Cloud, directory: Path, launcher: Launcher) -> SageMaker:
    """The whole service with its state under ``directory``; call ``start`` when the cloud answers requests."""
    directory.mkdir(parents=True, exist_ok=True)
    faults = Faults(directory / "faults.toml", [*OPERATIONS, "InvokeEndpoint"])
    store = Store(directory / "sagemaker.sqlite")
    service = SageMaker(cloud, store, directory, Clients(cloud), faults, account_file(directory))
    service.jobs = JobRunner(service, launcher)
    service.jobs.serve(processing.Processing())
    service.jobs.serve(training_run.Training())
    service.executions = ExecutionRunner(service)
    service.hosting = hosting.Hosting(service, launcher)
    service.provisioning = Provisioning(service)
    return service


def answer(service: SageMaker, operation: str, call: Call, body: bytes) -> tuple[int, dict[str, Any]]:
    """The HTTP status and JSON document that answer one call of the JSON protocol."""
    try:
        handler = OPERATIONS.get(operation)
        if handler is None:
            served = ", ".join(sorted(OPERATIONS))
            raise UnknownOperation(f"{operation} is not served by the local cloud; it serves {served}")
        with service.faults.during(operation):
            response = handler(service, call, _checked_request(operation, body))
    except ServiceError as error:
        return error.status, {"__type": error.code, "message": str(error)}
    _assert_fits(operation, response)
    return 200, response


def _checked_request(operation: str, body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ValidationException(f"The request body is not JSON: {error}") from error
    found = list(shapes.problems(request, shapes.request_shape(operation)))
    if found:
        plural = "s" if len(found) > 1 else ""
        raise ValidationException(f"{len(found)} validation error{plural} detected: {'; '.join(found)}")
    assert isinstance(request, dict)
    parameters.refuse(operation, request)
    return request


def _assert_fits(operation: str, response: dict[str, Any]) -> None:
    shape = shapes.response_shape(operation)
    found = list(shapes.problems(response, shape, constraints=False)) if shape is not None else []
    assert not found, f"the answer to {operation} does not fit AWS's shape: {found}"
