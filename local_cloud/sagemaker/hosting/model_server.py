"""One process behind an endpoint: from a model and its archive to a server that answers ``/ping``, and its end."""

import http.client
import shutil
import subprocess
import tarfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.containers import images, transfer, vpc
from local_cloud.sagemaker.containers.launcher import Container, Launcher, Process
from local_cloud.sagemaker.containers.log_stream import LogStream
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.store import Document, Scope
from local_cloud.sagemaker.hosting import model_archive
from local_cloud.sagemaker.hosting.model_connection import SOCKET, ModelConnection
from local_cloud.sagemaker.registry.model_packages import existing_package

_STARTUP_SECONDS = 240.0  # /ping must pass within 4 minutes, as on AWS


class DeploymentError(Exception):
    """A variant could not be started; the message is the endpoint's FailureReason."""


@dataclass(slots=True)
class ModelServer:
    process: Process
    socket: Path
    directory: Path
    config: Document
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))

    @property
    def variant(self) -> str:
        return str(self.config["ProductionVariants"][0]["VariantName"])


def start(
    context: Context, launcher: Launcher, scope: Scope, endpoint: str, config: str, cancelled: Callable[[], bool]
) -> ModelServer:
    """A process that answers; raises DeploymentError and others, and leaves nothing behind, when there is none."""
    document = context.store.get(scope, DocumentKind.ENDPOINT_CONFIG, config)
    if document is None:
        raise DeploymentError(f"The endpoint configuration {config} does not exist.")
    directory = context.directory / "endpoints" / f"{endpoint}-{time.time_ns()}"
    try:
        serving = _launch(context, launcher, scope, endpoint, document, directory)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    try:
        _await_ping(serving, cancelled)
    except BaseException:
        end(serving)
        raise
    return serving


def _launch(
    context: Context, launcher: Launcher, scope: Scope, endpoint: str, config: Document, directory: Path
) -> ModelServer:
    variant = config["ProductionVariants"][0]
    model = context.store.get(scope, DocumentKind.MODEL, variant["ModelName"])
    if model is None:
        raise DeploymentError(f"The model {variant['ModelName']} does not exist.")
    container = served_container(context, scope, model)
    root, role, source = directory / "ml", model["ExecutionRoleArn"], source_arn(scope)
    vpc.attach(context, scope, f"endpoint/{endpoint}", model, role, source)
    _fetch_model(context.clients.get("s3", scope, role, source), container["ModelDataUrl"], directory, root / "model")
    folder = root / "server"
    folder.mkdir(mode=0o700, parents=True)
    stream = LogStream(
        context.clients.get("logs", scope, role, source), f"/aws/sagemaker/Endpoints/{endpoint}",
        f"{variant['VariantName']}/{config['EndpointConfigName']}",
    )  # fmt: skip
    counterpart = images.find(container["Image"], context.images.read())
    made = counterpart.make(context.directory / "images", context.pip, stream.write)
    process = launcher.launch(
        Container(
            name=endpoint,
            command=("python3", str(images.INFERENCE_SERVER)),
            root=root,
            image=made.root,
            reads=made.reads,
            isolated=vpc.is_isolated(model),
            environment={
                "SM_MODEL_DIR": "/opt/ml/model",
                "MODEL_SERVER_SOCKET": f"/opt/ml/{folder.name}/{SOCKET}",
                "OMP_NUM_THREADS": "1",
                "AWS_REGION": scope.region,
                **container.get("Environment", {}),
            },
        )
    )
    serving = ModelServer(process, folder / SOCKET, directory, config)
    threading.Thread(target=_pump, args=(serving, stream), name=f"output of {endpoint}", daemon=True).start()
    return serving


def source_arn(scope: Scope) -> str:
    """What AWS gives for hosting, literally."""
    return f"arn:aws:sagemaker:{scope.region}:{scope.account}:*"


def served_container(context: Context, scope: Scope, model: Document) -> dict[str, Any]:
    """The one container of a model, from its model package when it names one; variables of the model's own add to it.

    Raises ValidationException for a package of several containers.
    """
    container: dict[str, Any] = (model.get("Containers") or [model["PrimaryContainer"]])[0]
    if "ModelPackageName" not in container:
        return container
    package = existing_package(context, scope, container["ModelPackageName"])
    containers = package.get("InferenceSpecification", {"Containers": [{}]})["Containers"]
    if len(containers) != 1:
        raise ValidationException("The local cloud serves model packages with exactly one container.")
    packaged: dict[str, Any] = containers[0]
    environment = packaged.get("Environment", {}) | container.get("Environment", {})
    return packaged | ({"Environment": environment} if environment else {})


def _fetch_model(s3: Any, uri: str, directory: Path, target: Path) -> None:
    archive = directory / "model.tar.gz"
    transfer.download_object(s3, uri, archive)
    try:
        model_archive.unpack(archive, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DeploymentError(f"Failed to extract the model data archive {uri}: {error}") from error


def _await_ping(serving: ModelServer, cancelled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline and not cancelled():
        if _answers(serving.socket):
            return
        if has_ended(serving.process):
            raise DeploymentError(
                "The primary container for production variant "
                f"{serving.variant} did not pass the ping health check: {' '.join(serving.last_lines)[-600:]}"
            )
        time.sleep(0.05)
    raise DeploymentError(f"The primary container for production variant {serving.variant} did not answer /ping.")


def _pump(serving: ModelServer, stream: LogStream) -> None:
    for line in serving.process.output:
        serving.last_lines.append(line.strip())
        stream.write(line)
    stream.flush()


def end(serving: ModelServer) -> None:
    serving.process.kill()
    serving.process.wait()
    shutil.rmtree(serving.directory, ignore_errors=True)


def _answers(socket: Path) -> bool:
    connection = ModelConnection(socket, timeout=2)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        response.read()
        return response.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def has_ended(process: Process) -> bool:
    try:
        process.wait(0)
    except subprocess.TimeoutExpired:
        return False
    return True
