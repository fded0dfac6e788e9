"""The API: the one place that knows every part of the service, and where a call becomes an answer."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Protocol

from local_cloud.sagemaker import parameters
from local_cloud.sagemaker.containers.images.entry_points import PROGRAM, SOURCE
from local_cloud.sagemaker.containers.launcher import Launcher
from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.core.account import account_file
from local_cloud.sagemaker.core.clock import Clock
from local_cloud.sagemaker.core.cloud import Call, Clients, Cloud
from local_cloud.sagemaker.core.configured_images import configured_images_file
from local_cloud.sagemaker.core.context import Context, Operation, Operations, Request
from local_cloud.sagemaker.core.errors import ServiceError, ValidationException
from local_cloud.sagemaker.core.faults import Faults
from local_cloud.sagemaker.core.store import Store
from local_cloud.sagemaker.core.tags import Tags
from local_cloud.sagemaker.hosting import endpoint_configs
from local_cloud.sagemaker.hosting.deployments import EndpointRunner
from local_cloud.sagemaker.hosting.endpoint_configs import EndpointConfigs
from local_cloud.sagemaker.hosting.endpoints import Endpoints
from local_cloud.sagemaker.hosting.models import Models
from local_cloud.sagemaker.jobs.processing.api import ProcessingJobs
from local_cloud.sagemaker.jobs.processing.run import Processing
from local_cloud.sagemaker.jobs.runner import JobRunner
from local_cloud.sagemaker.jobs.training.api import TrainingJobs
from local_cloud.sagemaker.jobs.training.run import Training
from local_cloud.sagemaker.pipelines.engine.limits import Limits
from local_cloud.sagemaker.pipelines.engine.run import ExecutionRunner
from local_cloud.sagemaker.pipelines.executions import Executions
from local_cloud.sagemaker.pipelines.pipelines import Pipelines
from local_cloud.sagemaker.projects.projects import Projects
from local_cloud.sagemaker.projects.provisioning import Provisioning
from local_cloud.sagemaker.registry.group_policy import GroupPolicies
from local_cloud.sagemaker.registry.model_packages import ModelRegistry
from pipeline_language.members import suggestion
from pipeline_language.references import is_reference

Requirement = Callable[[Request], object]
Requirements = Mapping[str, tuple[Requirement, Requirement | None]]
"""What each raises ServiceError for, beside what the table of parameters says. The second looks at the image, and at
the script that is to run in it."""
# Members that name the image, or the script that is to run in it.
_DECISIVE = {"TrainingImage", "ImageUri", "Image", PROGRAM, SOURCE}


class UnknownOperation(ServiceError):
    code = "UnknownOperationException"


class Runner(Protocol):
    """A part of the service that has threads and processes."""

    def resume(self) -> None:
        """Goes on with what a previous process had promised."""

    def stop(self) -> None:
        """Ends every process; the records stay, and `resume` of the next process goes on from them."""


@dataclass(frozen=True, slots=True)
class SageMaker:
    """Made by `assemble`."""

    context: Context
    operations: Operations
    faults: Faults
    endpoints: EndpointRunner
    jobs: JobRunner
    executions: ExecutionRunner
    provisioning: Provisioning
    limits: Limits

    def start(self) -> None:
        """Goes on with what a previous process had promised; call it when the cloud answers requests."""
        for runner in self._runners():
            runner.resume()

    def stop(self) -> None:
        for runner in reversed(self._runners()):
            runner.stop()
        self.context.store.close()

    def _runners(self) -> tuple[Runner, ...]:
        """In the order in which they start."""
        return self.endpoints, self.jobs, self.executions, self.provisioning


def assemble(
    cloud: Cloud, directory: Path, launcher: Launcher, clock: Clock | None = None, pip: Mapping[str, str] | None = None
) -> SageMaker:
    """The whole service with its state under ``directory``; it runs nothing before `SageMaker.start`.

    ``pip`` are the variables with pip's settings, for the environments of images.
    """
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(directory / "sagemaker.sqlite")
    context = Context(
        cloud, store, Clients(cloud), directory, account_file(directory), clock or Clock(),
        configured_images_file(directory), pip or {},
    )  # fmt: skip
    endpoints = EndpointRunner(context, launcher)
    jobs = JobRunner(context, launcher, [Processing(), Training()])
    executions = ExecutionRunner(context, wait_for_job=jobs.wait)
    provisioning = Provisioning(context)
    training, processing, models = TrainingJobs(context, jobs), ProcessingJobs(context, jobs), Models(context)
    requirements: Requirements = {
        "CreateTrainingJob": (training.require_served, training.require_command),
        "CreateProcessingJob": (processing.require_served, processing.require_command),
        "CreateModel": (models.require_served, models.require_servable),
        "CreateEndpointConfig": (endpoint_configs.require_served, None),
    }
    limits = partial(pipeline_limits, requirements)
    operations = _merged(
        Pipelines(context).operations(),
        Executions(context, executions, limits).operations(),
        training.operations(),
        processing.operations(),
        ModelRegistry(context).operations(),
        GroupPolicies(context).operations(),
        models.operations(),
        EndpointConfigs(context).operations(),
        Endpoints(context, endpoints).operations(),
        Projects(context, provisioning).operations(),
        Tags(context).operations(),
    )
    faults = Faults(directory / "faults.toml", [*operations, "InvokeEndpoint"])
    return SageMaker(context, operations, faults, endpoints, jobs, executions, provisioning, limits)


def pipeline_limits(requirements: Requirements, operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """What the local cloud does not do of a request that a pipeline will make; references may stand in it."""
    found = [f"{each.problem}." for each in parameters.unserved(operation, request)]
    if not found and operation in requirements:
        served, runs = requirements[operation]
        known = parameters.stand_in(request, shapes.request_shape(operation))
        try:
            served(known)
            if runs is not None and not _has_decisive_reference(request):
                runs(known)
        except ServiceError as error:
            found = [str(error)]
    yield from found


def _has_decisive_reference(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_decisive_reference, value))
    return isinstance(value, Mapping) and any(
        (name in _DECISIVE and is_reference(item)) or _has_decisive_reference(item) for name, item in value.items()
    )


def _merged(*parts: Operations) -> Operations:
    merged: dict[str, Operation] = {}
    for operations in parts:
        assert merged.keys().isdisjoint(operations), "two parts serve one operation"
        merged |= operations
    return merged


def answer(sagemaker: SageMaker, operation: str, call: Call, body: bytes) -> tuple[int, dict[str, Any]]:
    """The HTTP status and JSON document that answer one call of the JSON protocol."""
    try:
        handler = sagemaker.operations.get(operation)
        if handler is None:
            _refuse_operation(operation, sagemaker.operations)
        with sagemaker.faults.during(operation):
            response = handler(call, _checked_request(operation, body))
    except ServiceError as error:
        return error.status, {"__type": error.code, "message": str(error)}
    _assert_fits(operation, response)
    return 200, response


def _refuse_operation(operation: str, served: Operations) -> NoReturn:
    if operation not in shapes.service_model().operation_names:
        raise UnknownOperation(f"{operation} is not an operation of SageMaker; {suggestion(operation, list(served))}")
    raise UnknownOperation(
        f"{operation} is not served by the local cloud. hint: docs/parameters.md lists the operations that are"
    )


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
    found = list(shapes.problems(response, shape, walk=shapes.Walk(constraints=False))) if shape is not None else []
    assert not found, f"the answer to {operation} does not fit AWS's shape: {found}"
