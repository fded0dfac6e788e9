"""What the PyTorch inference image does: serves ``code/inference.py`` of the model on ``/ping`` and ``/invocations``.

Run as ``python inference_server.py`` in a container whose ``/opt/ml/model`` holds the unpacked artifact. It listens at
the Unix socket ``MODEL_SERVER_SOCKET``, so that nobody but the local cloud reaches it. The model's code gives model_fn,
input_fn, predict_fn and output_fn, as for AWS's image. Standard library only. A ValueError of the model's code is the
caller's fault (400), anything else the model's (500).
"""

import importlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+")  # one type, not a list or a pattern of them


def load_code(model: Path) -> ModuleType:
    code = model / "code"
    requirements = code / "requirements.txt"
    if requirements.exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-r", str(requirements)], check=True)
        importlib.invalidate_caches()
    sys.path.insert(0, str(code))
    return importlib.import_module("inference")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024
    code: ModuleType
    model: Any
    one_at_a_time = threading.Lock()  # bounded concurrency is what keeps the slowest answers short

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content_type = self.headers.get("Content-Type", "application/octet-stream")
        accept = self.headers.get("Accept", "application/json")
        try:
            data = self.code.input_fn(body, content_type)
            with self.one_at_a_time:
                prediction = self.code.predict_fn(data, self.model)
            answer = self.code.output_fn(prediction, accept)
        except ValueError as error:
            self._answer(400, json.dumps({"message": str(error)}).encode(), "application/json")
            return
        except Exception:
            traceback.print_exc()
            self._answer(500, json.dumps({"message": traceback.format_exc(limit=-1)}).encode(), "application/json")
            return
        content = answer if isinstance(answer, bytes) else str(answer).encode()
        self._answer(200, content, accept if _MEDIA_TYPE.fullmatch(accept) else "application/json")

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
    Handler.code = load_code(model)
    Handler.model = Handler.code.model_fn(str(model))
    print("serving", flush=True)
    Server(os.environ["MODEL_SERVER_SOCKET"]).serve_forever()


if __name__ == "__main__":
    main()
