"""Endpoints: which process serves which, how one takes over from another, and what happens when one dies.

A process that dies in service is started again, up to `_RESTARTS` times in a row; until it answers, InvokeEndpoint
gives a ModelError, as it does on AWS while a container is replaced. When that does not help, the endpoint is Failed.
"""

import http.client
import logging
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from local_cloud.errors import ImageError
from local_cloud.sagemaker.containers import transfer
from local_cloud.sagemaker.containers.launcher import Launcher
from local_cloud.sagemaker.core import events
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import EndpointStatus
from local_cloud.sagemaker.core.store import Document, Scope, retry_while_disk_full
from local_cloud.sagemaker.hosting import model_server
from local_cloud.sagemaker.hosting.model_connection import ModelConnection
from local_cloud.sagemaker.hosting.model_server import DeploymentError, ModelServer

log = logging.getLogger(__name__)

_INVOCATION_SECONDS = 60.0
_RESTARTS = 3
_STEADY_SECONDS = 60.0  # a process that served this long has its restarts back


class ModelError(ServiceError):
    """The container answered with an error; AWS passes it on as HTTP 424."""

    code = "ModelError"
    status = 424

    def __init__(self, message: str, original_status: int, original_message: str, log_stream_arn: str) -> None:
        super().__init__(message)
        self.members = {
            "OriginalStatusCode": original_status, "OriginalMessage": original_message, "LogStreamArn": log_stream_arn,
        }  # fmt: skip


class RuntimeValidationError(ServiceError):
    """The request is not valid, in the words of the runtime API, whose model calls this error ValidationError."""

    code = "ValidationError"


def announce(context: Context, scope: Scope, endpoint: Document) -> None:
    events.endpoint_changed(context.cloud, scope, endpoint)


class EndpointRunner:
    """One process per endpoint, one thread per deployment.

    Each deployment has a number. Only the latest one of an endpoint counts: what an earlier one finds out, for an
    endpoint that was deleted or created again meanwhile, has no effect.
    """

    def __init__(self, context: Context, launcher: Launcher) -> None:
        self._context, self._launcher = context, launcher
        self._serving: dict[tuple[Scope, str], ModelServer] = {}
        self._latest: dict[tuple[Scope, str], int] = {}
        self._number = 0
        self._lock = threading.RLock()
        self._ending = threading.Event()

    def deploy(self, scope: Scope, endpoint: str, config: str, restarts: int = 0) -> None:
        """Makes the endpoint serve ``config``, in the background."""
        with self._lock:
            self._number += 1
            number = self._latest[scope, endpoint] = self._number
        threading.Thread(
            target=self._deploy, args=(scope, endpoint, config, number, restarts), name=f"endpoint {endpoint}",
            daemon=True,
        ).start()  # fmt: skip

    def delete(self, scope: Scope, endpoint: str) -> None:
        with self._lock:
            self._latest.pop((scope, endpoint), None)
            serving = self._serving.pop((scope, endpoint), None)
        if serving is not None:
            model_server.end(serving)

    def resume(self) -> None:
        """Starts again what a previous process served or was about to serve."""
        for scope, endpoint in self._context.store.scan(DocumentKind.ENDPOINT):
            if endpoint["EndpointStatus"] != EndpointStatus.FAILED:
                self._context.store.update(
                    scope,
                    DocumentKind.ENDPOINT,
                    endpoint["EndpointName"],
                    EndpointStatus=EndpointStatus.SYSTEM_UPDATING,
                )
                pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
                self.deploy(scope, endpoint["EndpointName"], pending or endpoint["EndpointConfigName"])

    def stop(self) -> None:
        self._ending.set()
        with self._lock:
            serving, self._serving = list(self._serving.values()), {}
        for item in serving:
            model_server.end(item)

    def invoke(
        self, scope: Scope, endpoint: str, body: bytes, content_type: str, accept: str
    ) -> tuple[dict[str, str], bytes]:
        """The container's answer: headers of InvokeEndpoint's response, and the body.

        Raises RuntimeValidationError when there is no such endpoint in service, ModelError when the container fails.
        """
        document = self._context.store.get(scope, DocumentKind.ENDPOINT, endpoint)
        with self._lock:
            serving = self._serving.get((scope, endpoint))
        if (
            document is None
            or serving is None
            or document["EndpointStatus"] not in (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING)
        ):
            raise RuntimeValidationError(
                f"Endpoint {endpoint} of account {scope.account} not found, or not in service."
            )
        connection = ModelConnection(serving.socket, timeout=_INVOCATION_SECONDS)
        try:
            # A server may answer and close before it has read the body; what it answered is read all the same.
            with suppress(BrokenPipeError):
                connection.request("POST", "/invocations", body, {"Content-Type": content_type, "Accept": accept})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            reason = f"The container did not answer: {error}"
            raise ModelError(reason, 0, reason, _log_arn(scope, endpoint)) from error
        finally:
            connection.close()
        if response.status >= 400:
            text = content.decode(errors="replace")
            side = "client" if response.status < 500 else "server"
            raise ModelError(
                f'Received {side} error ({response.status}) from primary with message "{text}".',
                response.status, text, _log_arn(scope, endpoint),
            )  # fmt: skip
        headers = {
            "Content-Type": response.headers.get("Content-Type", content_type),
            "x-Amzn-Invoked-Production-Variant": serving.variant,
        }
        return headers, content

    def _counts(self, scope: Scope, endpoint: str, number: int) -> bool:
        return self._latest.get((scope, endpoint)) == number and not self._ending.is_set()

    def _deploy(self, scope: Scope, endpoint: str, config: str, number: int, restarts: int) -> None:
        try:
            serving = model_server.start(
                self._context, self._launcher, scope, endpoint, config,
                cancelled=lambda: not self._counts(scope, endpoint, number),
            )  # fmt: skip
        except (DeploymentError, transfer.TransferError, ServiceError, ImageError) as error:
            self._conclude_failure(scope, endpoint, config, number, restarts, str(error))
            return
        except Exception as error:  # the boundary of the thread: the endpoint must end in a true state
            log.exception("endpoint %s", endpoint)
            self._conclude_failure(scope, endpoint, config, number, restarts, f"InternalServerError: {error}")
            return
        with self._lock:
            counts = self._counts(scope, endpoint, number)
            replaced = self._serving.get((scope, endpoint)) if counts else serving
            if counts:
                self._serving[scope, endpoint] = serving
                self._conclude(
                    scope, endpoint, EndpointStatus=EndpointStatus.IN_SERVICE, EndpointConfigName=config,
                    ProductionVariants=_variants(serving.config), FailureReason=None,
                )  # fmt: skip
        if replaced is not None:
            model_server.end(replaced)
        if counts:
            self._watch(scope, endpoint, serving, restarts)

    def _watch(self, scope: Scope, endpoint: str, serving: ModelServer, restarts: int) -> None:
        """Waits for the end of the process; when it was still in service then, has it started again."""
        begun = time.monotonic()
        serving.process.wait()
        if time.monotonic() - begun > _STEADY_SECONDS:
            restarts = 0
        with self._lock:
            if self._serving.get((scope, endpoint)) is not serving or self._ending.is_set():
                return  # it was replaced or deleted
            document = self._context.store.get(scope, DocumentKind.ENDPOINT, endpoint)
            if document is None or document["EndpointStatus"] != EndpointStatus.IN_SERVICE:
                return  # an update is in progress and starts another process
            self._restart(scope, endpoint, str(serving.config["EndpointConfigName"]), restarts)

    def _restart(self, scope: Scope, endpoint: str, config: str, restarts: int) -> None:
        if restarts < _RESTARTS:
            log.warning("endpoint %s: its process ended and is started again", endpoint)
            self.deploy(scope, endpoint, config, restarts + 1)
            return
        dead = self._serving.pop((scope, endpoint), None)
        if dead is not None:
            model_server.end(dead)
        reason = f"The container of the endpoint ended, and did so again after {_RESTARTS} restarts."
        self._conclude(scope, endpoint, EndpointStatus=EndpointStatus.FAILED, FailureReason=reason)

    def _conclude_failure(
        self, scope: Scope, endpoint: str, config: str, number: int, restarts: int, reason: str
    ) -> None:
        """A failed update leaves the old variant in service; a failed creation leaves a Failed endpoint."""
        with self._lock:
            if not self._counts(scope, endpoint, number):
                return
            document = self._context.store.get(scope, DocumentKind.ENDPOINT, endpoint)
            assert document is not None, f"endpoint {endpoint} vanished"
            serving = self._serving.get((scope, endpoint))
            alive = serving is not None and not model_server.has_ended(serving.process)
            previous = document["EndpointConfigName"]
            if alive:
                self._conclude(scope, endpoint, EndpointStatus=EndpointStatus.IN_SERVICE, FailureReason=reason[:1024])
            elif restarts:
                self._restart(scope, endpoint, config, restarts)
            elif config != previous:  # the old process is gone: it died meanwhile, or the local cloud was restarted
                self.deploy(scope, endpoint, previous)
            else:
                self._serving.pop((scope, endpoint), None)
                self._conclude(scope, endpoint, EndpointStatus=EndpointStatus.FAILED, FailureReason=reason[:1024])

    def _conclude(self, scope: Scope, endpoint: str, **changes: Any) -> None:
        changes |= {"LastModifiedTime": time.time(), "PendingDeploymentSummary": None}
        write = partial(self._context.store.update, scope, DocumentKind.ENDPOINT, endpoint, **changes)
        document = retry_while_disk_full(write, self._ending)
        announce(self._context, scope, document)


def _variants(config: Document) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": variant["VariantName"],
            "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
            "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
            "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
            "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
        }
        for variant in config["ProductionVariants"]
    ]


def _log_arn(scope: Scope, endpoint: str) -> str:
    return f"arn:aws:logs:{scope.region}:{scope.account}:log-group:/aws/sagemaker/Endpoints/{endpoint}"
