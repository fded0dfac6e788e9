"""The processes behind endpoints: started, watched until they answer, asked, and ended."""

import http.client
import json
import logging
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_cloud.errors import ImageError
from local_cloud.sagemaker import events
from local_cloud.sagemaker.errors import ServiceError, ValidationException
from local_cloud.sagemaker.images import INFERENCE_SERVER, image
from local_cloud.sagemaker.jobs import transfer
from local_cloud.sagemaker.jobs.launcher import Container, Launcher, Process
from local_cloud.sagemaker.jobs.logs import LogStream
from local_cloud.sagemaker.registry import existing_package
from local_cloud.sagemaker.store import Document, Scope

if TYPE_CHECKING:
    from local_cloud.sagemaker.service import SageMaker

log = logging.getLogger("headrace.sagemaker")

_STARTUP_SECONDS = 240.0  # /ping must pass within 4 minutes, as on AWS
_INVOCATION_SECONDS = 60.0


class ModelError(ServiceError):
    """The container answered with an error; AWS passes it on as HTTP 424."""

    code = "ModelError"
    status = 424

    def __init__(self, message: str, original_status: int, log_stream_arn: str) -> None:
        super().__init__(message)
        self.members = {
            "OriginalStatusCode": original_status, "OriginalMessage": message, "LogStreamArn": log_stream_arn,
        }  # fmt: skip


class DeploymentError(Exception):
    """A variant could not be started; the message is the endpoint's FailureReason."""


@dataclass(slots=True)
class _Serving:
    process: Process
    port: int
    directory: Path
    config: str
    variant: str
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=20))


def announce(service: "SageMaker", scope: Scope, endpoint: Document) -> None:
    events.endpoint_changed(service.cloud, scope, endpoint)


class Hosting:
    """One process per endpoint; deployments run in threads of their own."""

    def __init__(self, service: "SageMaker", launcher: Launcher) -> None:
        self._service, self._launcher = service, launcher
        self._serving: dict[tuple[Scope, str], _Serving] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()

    def deploy(self, scope: Scope, endpoint: str, config: str) -> None:
        """Makes the endpoint serve ``config``, in the background."""
        threading.Thread(
            target=self._deploy, args=(scope, endpoint, config), name=f"endpoint {endpoint}", daemon=True
        ).start()

    def withdraw(self, scope: Scope, endpoint: str) -> None:
        with self._lock:
            serving = self._serving.pop((scope, endpoint), None)
        if serving is not None:
            _end(serving)

    def resume(self) -> None:
        """Starts again what a previous process served or was about to serve."""
        for scope, endpoint in self._service.store.everywhere("endpoint"):
            if endpoint["EndpointStatus"] != "Failed":
                self._service.store.update(scope, "endpoint", endpoint["EndpointName"], EndpointStatus="SystemUpdating")
                pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
                self.deploy(scope, endpoint["EndpointName"], pending or endpoint["EndpointConfigName"])

    def stop(self) -> None:
        self._ending.set()
        with self._lock:
            serving, self._serving = list(self._serving.values()), {}
        for item in serving:
            _end(item)

    def invoke(
        self, scope: Scope, endpoint: str, body: bytes, content_type: str, accept: str
    ) -> tuple[dict[str, str], bytes]:
        """The container's answer: headers of InvokeEndpoint's response, and the body.

        Raises ValidationException when there is no such endpoint in service, ModelError when the container fails.
        """
        document = self._service.store.get(scope, "endpoint", endpoint)
        with self._lock:
            serving = self._serving.get((scope, endpoint))
        if document is None or serving is None or document["EndpointStatus"] not in ("InService", "Updating"):
            raise ValidationException(f"Endpoint {endpoint} of account {scope.account} not found, or not in service.")
        connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=_INVOCATION_SECONDS)
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
            response = connection.getresponse()
            content = response.read()
        except OSError as error:
            raise ModelError(f"The container did not answer: {error}", 0, _log_arn(scope, endpoint)) from error
        finally:
            connection.close()
        if response.status >= 400:
            text = content.decode(errors="replace")
            raise ModelError(
                f"Received error ({response.status}) from model with message \"{text}\".",
                response.status, _log_arn(scope, endpoint),
            )  # fmt: skip
        headers = {
            "Content-Type": response.headers.get("Content-Type", content_type),
            "x-Amzn-Invoked-Production-Variant": serving.variant,
        }
        return headers, content

    def _deploy(self, scope: Scope, endpoint: str, config: str) -> None:
        try:
            serving = self._start(scope, endpoint, config)
        except (DeploymentError, transfer.TransferError, ServiceError, ImageError) as error:
            self._conclude_failure(scope, endpoint, str(error))
            return
        except Exception as error:  # the boundary of the thread: the endpoint must end in a true state
            log.exception("endpoint %s", endpoint)
            self._conclude_failure(scope, endpoint, f"InternalServerError: {error}")
            return
        with self._lock:
            replaced = self._serving.get((scope, endpoint))
            wanted = self._service.store.get(scope, "endpoint", endpoint) is not None and not self._ending.is_set()
            if wanted:
                self._serving[scope, endpoint] = serving
        if not wanted:  # deleted meanwhile, or the local cloud is ending
            _end(serving)
            return
        document = self._service.store.get(scope, "endpoint-config", config)
        assert document is not None
        variants = [
            {
                "VariantName": variant["VariantName"],
                "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
            }
            for variant in document["ProductionVariants"]
        ]
        self._conclude(
            scope, endpoint, EndpointStatus="InService", EndpointConfigName=config, ProductionVariants=variants,
            FailureReason=None,
        )  # fmt: skip
        if replaced is not None:
            _end(replaced)

    def _conclude_failure(self, scope: Scope, endpoint: str, reason: str) -> None:
        """A failed update leaves the old variant in service; a failed creation leaves a Failed endpoint."""
        with self._lock:
            rolled_back = (scope, endpoint) in self._serving
        if self._service.store.get(scope, "endpoint", endpoint) is not None and not self._ending.is_set():
            status = "InService" if rolled_back else "Failed"
            self._conclude(scope, endpoint, EndpointStatus=status, FailureReason=reason[:1024])

    def _conclude(self, scope: Scope, endpoint: str, **changes: Any) -> None:
        document = self._service.store.update(
            scope, "endpoint", endpoint, **changes, LastModifiedTime=time.time(), PendingDeploymentSummary=None
        )
        announce(self._service, scope, document)

    def _start(self, scope: Scope, endpoint: str, config: str) -> _Serving:
        document = self._service.store.get(scope, "endpoint-config", config)
        if document is None:
            raise DeploymentError(f"The endpoint configuration {config} does not exist.")
        variant = document["ProductionVariants"][0]
        model = self._service.store.get(scope, "model", variant["ModelName"])
        if model is None:
            raise DeploymentError(f"The model {variant['ModelName']} does not exist.")
        container = (model.get("Containers") or [model["PrimaryContainer"]])[0]
        if "ModelPackageName" in container:
            package = existing_package(self._service, scope, container["ModelPackageName"])
            container = package["InferenceSpecification"]["Containers"][0]
        directory = self._service.directory / "endpoints" / f"{endpoint}-{time.time_ns()}"
        root = directory / "ml"
        role = model["ExecutionRoleArn"]
        archive = directory / "model.tar.gz"
        source = f"arn:aws:sagemaker:{scope.region}:{scope.account}:*"  # what AWS gives for hosting, literally
        s3 = self._service.clients.get("s3", scope, role, source)
        transfer.download_object(s3, container["ModelDataUrl"], archive)
        with tarfile.open(archive) as tar:
            tar.extractall(root / "model", filter="data")
        port = _free_port()
        process = self._launcher.launch(
            Container(
                name=endpoint,
                command=("python3", str(INFERENCE_SERVER)),
                root=root,
                image=image(container["Image"], self._service.directory / "images"),
                environment={
                    "SM_MODEL_DIR": "/opt/ml/model",
                    "SAGEMAKER_BIND_TO_PORT": str(port),
                    "OMP_NUM_THREADS": "1",
                    "AWS_REGION": scope.region,
                    **container.get("Environment", {}),
                },
            )
        )
        serving = _Serving(process, port, directory, config, variant["VariantName"])
        stream = LogStream(
            self._service.clients.get("logs", scope, role, source), f"/aws/sagemaker/Endpoints/{endpoint}",
            f"{variant['VariantName']}/{config}",
        )  # fmt: skip
        threading.Thread(target=_pump, args=(serving, stream), name=f"output of {endpoint}", daemon=True).start()
        self._await_ping(serving)
        return serving

    def _await_ping(self, serving: _Serving) -> None:
        deadline = time.monotonic() + _STARTUP_SECONDS
        while time.monotonic() < deadline and not self._ending.is_set():
            if _answers(serving.port):
                return
            if _has_ended(serving.process):
                raise DeploymentError(
                    "The primary container for production variant "
                    f"{serving.variant} did not pass the ping health check: {' '.join(serving.last_lines)[-600:]}"
                )
            time.sleep(0.05)
        _end(serving)
        raise DeploymentError(f"The primary container for production variant {serving.variant} did not answer /ping.")


def _pump(serving: _Serving, stream: LogStream) -> None:
    for line in serving.process.output:
        serving.last_lines.append(line.strip())
        stream.write(line)
    stream.flush()


def _end(serving: _Serving) -> None:
    serving.process.kill()
    serving.process.wait()
    shutil.rmtree(serving.directory, ignore_errors=True)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_ended(process: Process) -> bool:
    try:
        process.wait(0)
    except subprocess.TimeoutExpired:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _log_arn(scope: Scope, endpoint: str) -> str:
    return f"arn:aws:logs:{scope.region}:{scope.account}:log-group:/aws/sagemaker/Endpoints/{endpoint}"


def error_body(error: ServiceError) -> bytes:
    members = error.members if isinstance(error, ModelError) else {}
    return json.dumps({"Message": str(error), "message": str(error), **members}).encode()
