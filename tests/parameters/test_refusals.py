"""What SageMaker's model knows and the local cloud does not serve is refused by name, with a hint; nothing is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from in_process import ROLE, InProcess, Refused
from pipeline_runs import client
from tried import tries

from local_cloud.process import Running
from local_cloud.sagemaker import parameters
from local_cloud.sagemaker.core import shapes
from local_cloud.sagemaker.core.errors import ValidationException

DEPTH = 6


def members(shape: Shape, path: str = "", depth: int = DEPTH) -> Iterator[tuple[str, Shape]]:
    """Every parameter below a request's shape, through lists, with its path."""
    if isinstance(shape, ListShape):
        yield from members(shape.member, path, depth)
    elif isinstance(shape, StructureShape) and depth:
        for name, member in shape.members.items():
            inner = f"{path}.{name}".removeprefix(".")
            yield inner, member
            yield from members(member, inner, depth - 1)


def request_of(operation: str, path: str) -> dict[str, Any]:
    """A request that holds this parameter and what it lies in."""

    def value(shape: Shape, names: list[str]) -> Any:
        if isinstance(shape, ListShape):
            return [value(shape.member, names)]
        if isinstance(shape, StructureShape):
            return {names[0]: value(shape.members[names[0]], names[1:])} if names else {}
        return {} if isinstance(shape, MapShape) else "a value"

    found: dict[str, Any] = value(shapes.request_shape(operation), path.split("."))
    return found


def refused(operation: str) -> list[str]:
    """The outermost parameters that have no line."""
    taken = parameters.lines(operation)
    found: list[str] = []
    for path, _ in members(shapes.request_shape(operation)):
        known = path in taken or any(line.startswith(f"{path}.") or path.startswith(f"{line}.") for line in taken)
        if not known and not any(path.startswith(f"{outer}.") for outer in found):
            found.append(path)
    return found


def test_every_operation_has_its_lines_and_no_other_has(tmp_path: Path) -> None:
    served = InProcess(tmp_path).service.operations.keys()
    assert parameters.EFFECTIVE.keys() == served
    assert parameters.KEPT.keys() <= served


@pytest.mark.parametrize("operation", sorted(parameters.EFFECTIVE))
def test_every_line_is_a_parameter_of_sagemakers(operation: str) -> None:
    known = {path for path, _ in members(shapes.request_shape(operation))}
    assert parameters.lines(operation).keys() <= known


@pytest.mark.parametrize("operation", sorted(parameters.EFFECTIVE))
def test_every_other_parameter_is_refused_by_name_with_a_hint(operation: str) -> None:
    for path in refused(operation):
        with pytest.raises(ValidationException) as refusal:
            parameters.refuse(operation, request_of(operation, path))
        assert f"{operation}: the local cloud does not serve {path}," in str(refusal.value)
        assert f"hint: leave {path} out" in str(refusal.value)


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (operation, path)
        for operation in sorted(parameters.EFFECTIVE)
        for path, values in parameters.lines(operation).items()
        if values
    ],
)
def test_a_value_that_is_not_served_is_refused(operation: str, path: str) -> None:
    with pytest.raises(ValidationException, match=rf"serves {path} only as .*hint: leave {path} out"):
        parameters.refuse(operation, request_of(operation, path))


def test_a_refused_request_leaves_nothing(service: InProcess) -> None:
    container = {"Image": "pytorch", "ModelDataUrl": "s3://b/m.tar.gz"}
    service.call("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    capture = {
        "InitialSamplingPercentage": 100, "DestinationS3Uri": "s3://b/c", "CaptureOptions": [{"CaptureMode": "Input"}],
    }  # fmt: skip
    with pytest.raises(Refused, match="does not serve DataCaptureConfig"):
        service.call(
            "CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant], DataCaptureConfig=capture
        )
    assert service.call("ListEndpointConfigs")["EndpointConfigs"] == []
    service.call("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[variant])
    deployment = {"RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 1,
    }}  # fmt: skip
    with pytest.raises(Refused, match="does not serve DeploymentConfig"):
        service.call("CreateEndpoint", EndpointName="e", EndpointConfigName="c", DeploymentConfig=deployment)
    assert service.call("ListEndpoints")["Endpoints"] == []


@tries(
    "sagemaker-runtime.InvokeEndpoint",
    "CustomAttributes TargetModel TargetVariant TargetContainerHostname InferenceId EnableExplanations "
    "InferenceComponentName SessionId PrefixAwareId",
)
def test_what_invoke_endpoint_does_not_serve_is_refused(cloud: Running) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    shape = model.operation_model("InvokeEndpoint").input_shape
    others = [name for name in shape.members if name not in parameters.INVOKE_ENDPOINT]
    assert len(others) == 9
    runtime = client(cloud, "sagemaker-runtime")
    for name in others:
        with pytest.raises(runtime.exceptions.ClientError, match=f"does not serve {name}, .*hint: leave {name} out"):
            runtime.invoke_endpoint(EndpointName="none", Body=b"1", **{name: "value"})
