"""What the PyTorch inference image does: serves ``code/inference.py`` of the model on ``/ping`` and ``/invocations``.

Run as ``python inference_server.py`` in a container whose ``/opt/ml/model`` holds the unpacked artifact. It listens at
the Unix socket ``MODEL_SERVER_SOCKET``, so that only the local cloud reaches it. The model's code gives model_fn,
input_fn, predict_fn and output_fn, as for AWS's image. Standard library only.

As TorchServe, which AWS's image runs, it answers ``/ping`` before the model is loaded, and for 5 minutes after it could
not be loaded; requests wait while it is loaded, and get 503 once that has failed. Requirements that cannot be installed
end the process, there too (pytorch/serve, ``WorkerThread.isHealthy``; aws/deep-learning-containers#2917).

An error with a ``status_code`` is answered with it, as by sagemaker_inference's transformer; any other one is the
model's fault (500).
"""

import importlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")  # one type, not a list or a pattern of them


_HEALTHY_SECONDS = 300.0  # after the first failure: TorchServe's maxRetryTimeoutInSec
_RETRY_SECONDS = 1.0  # before the first of further attempts; doubled up to a minute


def install_requirements(model: Path) -> None:
    requirements = model / "code" / "requirements.txt"
    if requirements.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-r", str(requirements)], check=True)
        importlib.invalidate_caches()


class Worker:
    """Loads the model in a separate thread; tries again when that fails."""

    def __init__(self, model: Path) -> None:
        self.code: ModuleType | None = None
        self.model: Any = None
        self._tried = threading.Event()
        self._failing_since: float | None = None
        threading.Thread(target=self._load, args=(model,), name="worker", daemon=True).start()

    @property
    def is_healthy(self) -> bool:
        return self._failing_since is None or time.monotonic() - self._failing_since < _HEALTHY_SECONDS

    def loaded_code(self) -> ModuleType | None:
        """Waits for the first attempt; None if it has failed, and none has succeeded since."""
        self._tried.wait()
        return self.code

    def _load(self, model: Path) -> None:
        sys.path.insert(0, str(model / "code"))
        delay = _RETRY_SECONDS
        while True:
            try:
                code = importlib.import_module("inference")
                self.model = code.model_fn(str(model))
            except Exception:
                traceback.print_exc()
                self._failing_since = self._failing_since or time.monotonic()
                self._tried.set()
                time.sleep(delay)
                delay = min(2 * delay, 60.0)
            else:
                self.code, self._failing_since = code, None
                self._tried.set()
                print("serving", flush=True)
                return


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    worker: Worker
    one_at_a_time = threading.Lock()  # bounded concurrency is what keeps the slowest answers short

    def do_GET(self) -> None:
        status = 200 if self.worker.is_healthy else 500
        self._answer(status if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content_type = self.headers.get("Content-Type", "application/octet-stream")
        accept = self.headers.get("Accept", "application/json")
        code = self.worker.loaded_code()
        if code is None:
            self._refuse(503, 'Model "model" has no worker to serve inference request.')
            return
        try:
            data = code.input_fn(body, content_type)
            with self.one_at_a_time:
                prediction = code.predict_fn(data, self.worker.model)
            answer = code.output_fn(prediction, accept)
        except Exception as error:
            status = getattr(error, "status_code", None)
            if isinstance(status, int):
                self._refuse(status, str(getattr(error, "message", None) or error))
                return
            traceback.print_exc()
            self._refuse(500, traceback.format_exc(limit=-1))
            return
        content = answer if isinstance(answer, bytes) else str(answer).encode()
        self._answer(200, content, accept if _MEDIA_TYPE.fullmatch(accept) else "application/json")

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, json.dumps({"message": message}).encode(), "application/json")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/ping":
            super().log_message(format, *args)


class Server(ThreadingHTTPServer):
    """At a Unix socket that its own user alone may open."""

    address_family = socket.AF_UNIX
    request_queue_size = 1024  # connections that wait to be accepted; with the default of 5, more are refused

    def __init__(self, path: str) -> None:
        super().__init__(path, Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        folder, name = os.path.split(str(self.server_address))
        before = os.getcwd()
        os.chdir(folder)  # the path of a socket has at most 107 bytes
        try:
            self.socket.bind(name)
            os.chmod(name, 0o600)
        finally:
            os.chdir(before)
        self.server_name, self.server_port = "localhost", 0

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, _ = self.socket.accept()
        return connection, ("gateway", 0)


def main() -> None:
    model = Path(os.environ["SM_MODEL_DIR"])
    install_requirements(model)
    Handler.worker = Worker(model)
    Server(os.environ["MODEL_SERVER_SOCKET"]).serve_forever()


if __name__ == "__main__":
    main()
