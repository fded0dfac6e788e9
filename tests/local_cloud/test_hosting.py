"""An endpoint keeps serving: through a failed update, and when its process dies."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from eventually import eventually
from in_process import ROLE, SCOPE, InProcess, Refused

from local_cloud.sagemaker.containers.images import INFERENCE_SERVER
from local_cloud.sagemaker.containers.launcher import Container
from local_cloud.sagemaker.hosting import model_connection, model_server
from local_cloud.sagemaker.hosting.deployments import ModelError, RuntimeValidationError
from local_cloud.sagemaker.hosting.model_connection import SOCKET, ModelConnection

pytestmark = pytest.mark.process

SERVER = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    do_POST = do_GET
class Server(http.server.HTTPServer):
    address_family = socket.AF_UNIX
    def server_bind(self):
        folder, name = os.path.split(self.server_address)
        os.chdir(folder)
        self.socket.bind(name)
        self.server_name, self.server_port = "model", 0
    def get_request(self):
        return self.socket.accept()[0], ("gateway", 0)
Server(os.environ["MODEL_SERVER_SOCKET"], Handler).serve_forever()
"""


class Server:
    def __init__(self, script: str, environment: dict[str, str]) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self._popen: Any = subprocess.Popen([sys.executable, "-c", script], env=environment, **pipes)  # type: ignore[call-overload]
        self.pid: int = self._popen.pid
        self.output: IO[str] = self._popen.stdout

    def wait(self, timeout: float | None = None) -> int:
        return int(self._popen.wait(timeout))

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        self._popen.kill()


class Servers:
    """A launcher of small servers; ``script`` may be changed between two launches."""

    def __init__(self) -> None:
        self.script, self.started = SERVER, list[Server]()

    def launch(self, container: Container) -> Server:
        inside = {name: value.replace("/opt/ml", str(container.root)) for name, value in container.environment.items()}
        self.started.append(Server(self.script, {**os.environ, **inside}))
        return self.started[-1]


class NoLogs:
    def __init__(self, *parts: Any) -> None: ...
    def write(self, line: str) -> None: ...
    def flush(self) -> None: ...


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def sagemaker(tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    monkeypatch.setattr(model_server, "_fetch_model", lambda *parts: None)
    monkeypatch.setattr(model_server, "LogStream", NoLogs)
    sagemaker = InProcess(tmp_path, servers)
    sagemaker.service.context.clients.get = lambda *parts: None  # type: ignore[method-assign]
    container = {"Image": "pytorch", "ModelDataUrl": "s3://b/m.tar.gz"}
    sagemaker.call("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    for config in ("first", "second"):
        variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.call("CreateEndpointConfig", EndpointConfigName=config, ProductionVariants=[variant])
    yield sagemaker
    sagemaker.service.stop()
    for server in servers.started:
        server.wait(5)
        server.output.close()


def endpoint(sagemaker: InProcess) -> dict[str, Any]:
    return sagemaker.call("DescribeEndpoint", EndpointName="e")


def serve(sagemaker: InProcess) -> None:
    sagemaker.call("CreateEndpoint", EndpointName="e", EndpointConfigName="first")
    eventually(
        "the endpoint is in service", lambda: endpoint(sagemaker)["EndpointStatus"] == "InService", interval=0.01
    )


def invoke(sagemaker: InProcess) -> bytes:
    return sagemaker.service.endpoints.invoke(SCOPE, "e", b"{}", "application/json", "application/json")[1]


def answers(sagemaker: InProcess) -> bool:
    try:
        return invoke(sagemaker) == b"ok"
    except ModelError:
        return False


def test_a_dead_process_is_started_again(sagemaker: InProcess, servers: Servers) -> None:
    serve(sagemaker)
    os.kill(servers.started[0].pid, signal.SIGKILL)
    servers.started[0].wait()
    with pytest.raises(ModelError):
        invoke(sagemaker)
    eventually("the endpoint answers", lambda: answers(sagemaker), interval=0.01)
    assert endpoint(sagemaker)["EndpointStatus"] == "InService"


def test_restarts_are_bounded_and_then_the_endpoint_is_failed(sagemaker: InProcess, servers: Servers) -> None:
    serve(sagemaker)
    servers.script = "raise SystemExit('broken')"
    servers.started[0].kill()
    eventually("the endpoint has failed", lambda: endpoint(sagemaker)["EndpointStatus"] == "Failed", interval=0.01)
    assert len(servers.started) == 4
    assert "after 3 restarts" in endpoint(sagemaker)["FailureReason"]
    with pytest.raises(RuntimeValidationError):
        invoke(sagemaker)


def test_a_failed_update_keeps_the_old_variant(sagemaker: InProcess, servers: Servers) -> None:
    serve(sagemaker)
    servers.script = "print('no such weights'); raise SystemExit(1)"
    sagemaker.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="second")
    eventually(
        "the endpoint is in service", lambda: endpoint(sagemaker)["EndpointStatus"] == "InService", interval=0.01
    )
    assert endpoint(sagemaker)["EndpointConfigName"] == "first"
    assert "did not pass the ping health check" in endpoint(sagemaker)["FailureReason"]
    assert invoke(sagemaker) == b"ok"


def test_an_endpoint_deleted_while_it_is_created_leaves_no_process(sagemaker: InProcess, servers: Servers) -> None:
    servers.script = "import time; time.sleep(60)"
    sagemaker.call("CreateEndpoint", EndpointName="e", EndpointConfigName="first")
    eventually("a server has started", lambda: bool(servers.started), interval=0.01)
    sagemaker.call("DeleteEndpoint", EndpointName="e")
    assert servers.started[0].wait(5) != 0
    with pytest.raises(Refused, match="Could not find endpoint"):
        endpoint(sagemaker)


def test_an_endpoint_created_again_is_not_touched_by_the_old_deployment(sagemaker: InProcess, servers: Servers) -> None:
    servers.script = "import time; time.sleep(60)"
    sagemaker.call("CreateEndpoint", EndpointName="e", EndpointConfigName="second")
    eventually("a server has started", lambda: bool(servers.started), interval=0.01)
    sagemaker.call("DeleteEndpoint", EndpointName="e")
    servers.script = SERVER
    serve(sagemaker)
    servers.started[0].wait(5)
    threading.Event().wait(0.2)
    assert endpoint(sagemaker)["EndpointStatus"] == "InService"
    assert endpoint(sagemaker)["EndpointConfigName"] == "first"


@pytest.mark.parametrize("request_", [
    {"PrimaryContainer": {"Image": "pytorch"}, "ExecutionRoleArn": ROLE},
    {"PrimaryContainer": {"Image": "pytorch", "ModelDataUrl": "s3://b/k"}},
    {"ExecutionRoleArn": ROLE},
])  # fmt: skip
def test_a_model_that_could_not_be_served_is_refused(sagemaker: InProcess, request_: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="ValidationException"):
        sagemaker.call("CreateModel", ModelName="n", **request_)


@pytest.mark.parametrize("folders", ["/proc/self/fd", "/not/there/as/on/macOS"])
def test_a_model_answers_only_at_a_socket_of_its_own_user(
    tmp_path: Path, folders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port would answer every user of the machine, and a page in its browsers. Its path may be a long one."""
    monkeypatch.setattr(model_connection, "_FOLDERS", Path(folders))
    code, folder = tmp_path / "model" / "code", tmp_path / ("long" * 40) / "server"
    code.mkdir(parents=True)
    folder.mkdir(parents=True)
    (code / "inference.py").write_text(
        "def model_fn(path): return 'model'\n"
        "def input_fn(body, kind): return body.decode()\n"
        "def predict_fn(data, model): return model + data\n"
        "def output_fn(prediction, accept): return prediction\n"
    )
    file = folder / SOCKET
    variables = {**os.environ, "SM_MODEL_DIR": str(code.parent), "MODEL_SERVER_SOCKET": str(file)}
    server = subprocess.Popen([sys.executable, INFERENCE_SERVER], env=variables)
    try:
        eventually("the file is there", file.exists, interval=0.01)
        eventually("the server answers", lambda: model_server._answers(file), interval=0.01)
        connection = ModelConnection(file, timeout=10)
        connection.request("POST", "/invocations", b"1", {"Content-Type": "text/plain"})
        assert connection.getresponse().read() == b"model1"
        connection.close()
        assert file.stat().st_mode & 0o777 == 0o600
        assert listening_ports(server.pid) == []
    finally:
        server.kill()
        server.wait()


def listening_ports(pid: int) -> list[str]:
    """The TCP sockets on which a process listens."""
    inodes = {
        os.readlink(link).removeprefix("socket:[").rstrip("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for lines in tables for line in lines]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
