"""Strangers at the front door: large bodies, bodies that inflate, connections that say nothing, pages of a browser."""

import functools
import gzip
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attempts import signed
from pipeline_runs import client, free_port
from stranger import Attempt, send

from local_cloud import process
from local_cloud.door import served
from local_cloud.process import Running

MB = 2**20
MOST_MEMORY = 20 * MB
LONGEST_SILENCE = 30.0  # seconds


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    state = tmp_path_factory.mktemp("door") / "state"
    running = process.start(state, port=free_port())
    client(running, "s3").create_bucket(Bucket="engine-tests")
    client(running, "sqs").create_queue(QueueName="stays")
    yield running
    process.stop(state)


def connect(cloud: Running) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    plain = socket.create_connection(("127.0.0.1", urlsplit(cloud.endpoint).port), timeout=30)
    return context.wrap_socket(plain, server_hostname="localhost")


def is_healthy(cloud: Running) -> bool:
    with connect(cloud) as connection:
        connection.sendall(f"GET {served.HEALTH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(1000).startswith(b"HTTP/1.1 200")


class Peak:
    """The memory that the server takes more, at its highest, while this is open."""

    def __init__(self, cloud: Running) -> None:
        self._folder = Path(f"/proc/{cloud.pid}")

    def __enter__(self) -> "Peak":
        (self._folder / "clear_refs").write_text("5")
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *parts: object) -> None:
        self.more = self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


def upload(cloud: Running, head: str, size: int, piece: bytes = bytes(MB)) -> bytes:
    """Sends a body for as long as the server takes it; what it answered."""
    with connect(cloud) as connection:
        with suppress(OSError):
            connection.sendall(head.encode())
            for _ in range(size // len(piece)):
                connection.sendall(piece)
        with suppress(OSError):
            return connection.recv(4096)
    return b""


@pytest.mark.parametrize("path", ["/", "/engine-tests/key", served.CFN_RESPONSE + "token"])
def test_a_large_body_of_a_stranger_takes_no_memory(cloud: Running, path: str) -> None:
    is_healthy(cloud)
    with Peak(cloud) as peak:
        answer = upload(
            cloud, f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {200 * MB}\r\n\r\n", 200 * MB
        )
    assert peak.more < MOST_MEMORY
    assert answer == b"" or answer.split(b" ")[1] in (b"403", b"404")
    assert is_healthy(cloud)


def test_a_large_body_signed_with_a_wrong_secret_takes_no_memory(cloud: Running) -> None:
    """The key is known, so the body is read for its hash; not more of it than the service takes, and not in memory."""
    small = signed(cloud, ("sqs", "list_queues", {}), cloud.account, "wrong")
    names = {name: value for name, value in small.headers.items() if name.lower() not in ("content-length", "host")}
    head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    with Peak(cloud) as peak:
        answer = upload(
            cloud, f"POST / HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {200 * MB}\r\n\r\n", 200 * MB
        )
    assert peak.more < MOST_MEMORY
    assert answer == b"" or b" 413 " in answer[:20]
    chunk = b"%x\r\n" % MB + bytes(MB) + b"\r\n"
    with Peak(cloud) as peak:
        chunked = f"POST / HTTP/1.1\r\nHost: localhost\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
        answer = upload(cloud, chunked, 200 * len(chunk), chunk)
    assert peak.more < MOST_MEMORY
    assert answer == b"" or b" 413 " in answer[:20]


def test_a_body_that_inflates_a_thousandfold_takes_no_memory(cloud: Running) -> None:
    """A body is inflated only for a known caller, and only up to what the service accepts."""
    bomb = gzip.compress(bytes(300 * MB), 9)
    assert len(bomb) < 300 * MB / 1000
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-amz-json-1.0"}
    with Peak(cloud) as peak:
        ((status, _),) = send(cloud.endpoint, [Attempt("POST", "/", headers, bomb)])
    assert (status, peak.more < MOST_MEMORY) == (403, True)
    metrics = {"Namespace": "n" * 20000, "MetricData": [{"MetricName": "m"}]}  # botocore compresses it itself
    good = signed(cloud, ("cloudwatch", "put_metric_data", metrics), cloud.account, cloud.secret_key(cloud.account))
    assert good.headers["Content-Encoding"] == "gzip"
    signing = SignedBody(cloud, bomb)
    with Peak(cloud) as peak:
        ((status, text),) = send(cloud.endpoint, [signing.attempt(good)])
    assert (status, peak.more < MOST_MEMORY) == (413, True), text


class SignedBody:
    """Signs a request again with another body."""

    def __init__(self, cloud: Running, body: bytes) -> None:
        self._cloud, self._body = cloud, body

    def attempt(self, good: Attempt) -> Attempt:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        wanted = ("content-encoding", "content-type", "x-amz-target")
        kept = {name: value for name, value in good.headers.items() if name.lower() in wanted}
        kept["Host"] = urlsplit(self._cloud.endpoint).netloc
        request = AWSRequest(good.method, f"{self._cloud.endpoint}{good.path}", kept, self._body)
        account = self._cloud.account
        key = Credentials(account, self._cloud.secret_key(account))
        SigV4Auth(key, "monitoring", self._cloud.region).add_auth(request)
        return Attempt(good.method, good.path, dict(request.headers.items()), self._body)


def test_connections_that_say_nothing_are_closed_and_keep_nobody_out(cloud: Running) -> None:
    port = urlsplit(cloud.endpoint).port
    began = time.monotonic()
    silent = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(250)]  # no TLS
    for _ in range(250):
        connection = connect(cloud)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: local")  # no end of its header
        silent.append(connection)
    answered = []
    waiting = list(silent)
    while waiting and time.monotonic() - began < LONGEST_SILENCE + 30:
        asked = time.monotonic()
        assert is_healthy(cloud)
        answered.append(time.monotonic() - asked)
        for connection in list(waiting):
            connection.setblocking(False)
            try:
                if connection.recv(1) == b"":
                    waiting.remove(connection)
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            except OSError:
                waiting.remove(connection)
        time.sleep(0.2)
    for connection in silent:
        connection.close()
    assert waiting == []
    assert max(answered) < 5


def test_more_connections_than_there_may_be_leave_room_for_who_asks(cloud: Running) -> None:
    """The oldest that said nothing make room."""
    port = urlsplit(cloud.endpoint).port
    crowd = []
    for _ in range(1100):
        crowd.append(socket.create_connection(("127.0.0.1", port), timeout=30))
    try:
        assert is_healthy(cloud)
        assert client(cloud, "sqs").list_queues()["QueueUrls"]
    finally:
        for connection in crowd:
            connection.close()


PAGE = """<!doctype html><html><body><div id="out">waiting</div>
<form id="form" method="post" target="frame" enctype="text/plain" action="CLOUD/_ministack/reset">
<input name="a" value="b"></form>
<iframe name="frame"></iframe>
<script>
const found = [];
const attempt = async (name, url, options) => {
  try { const answer = await fetch(url, options); found.push([name, answer.type, answer.status, await answer.text()]); }
  catch (error) { found.push([name, "blocked"]); }
};
(async () => {
  for (const base of BASES) {
    for (const path of ["/", "/_ministack/health", "/_ministack/reset", "/engine-tests/", "/engine-tests/key"]) {
      for (const method of ["GET", "POST", "PUT", "DELETE"]) {
        for (const mode of ["cors", "no-cors"]) {
          const options = {method, mode, ...(method === "GET" ? {} : {body: "Action=CreateQueue&QueueName=intruder"})};
          await attempt([base, path, method, mode].join(" "), base + path, options);
        }
      }
    }
  }
  document.getElementById("form").submit();
  await new Promise(resolve => setTimeout(resolve, 1500));
  document.getElementById("out").textContent = "done " + JSON.stringify(found);
})();
</script></body></html>"""


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no browser: apt-get install chromium")
    return found


def test_a_page_of_another_origin_reads_and_changes_nothing(cloud: Running, tmp_path: Path) -> None:
    """In a real browser that trusts the certificate; `rebound.example` is a name that leads to this machine."""
    port = urlsplit(cloud.endpoint).port
    bases = [cloud.endpoint, f"https://127.0.0.1:{port}", f"https://rebound.example:{port}"]
    page = PAGE.replace("CLOUD", cloud.endpoint).replace("BASES", json.dumps(bases))
    (tmp_path / "index.html").write_text(page)
    before = state_of(cloud)
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        arguments = [
            "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom",
            "--host-resolver-rules=MAP rebound.example 127.0.0.1,MAP evil.example 127.0.0.1",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000", "--timeout=90000",
        ]  # fmt: skip
        url = f"http://evil.example:{server.server_port}/index.html"
        ended = subprocess.run([browser(), *arguments, url], capture_output=True, text=True, timeout=240)
        server.shutdown()
    assert "done [" in ended.stdout, ended.stderr[-2000:]
    found = json.loads(ended.stdout.partition("done ")[2].partition("</div>")[0].replace("&amp;", "&"))
    assert len(found) == len(bases) * 5 * 4 * 2
    # An opaque answer has no status and no body for the page; a "cors" one would have.
    assert [item for item in found if item[1] not in ("blocked", "opaque") or (item[1] == "opaque" and item[3])] == []
    assert state_of(cloud) == before


def state_of(cloud: Running) -> dict[str, Any]:
    return {
        "queues": client(cloud, "sqs").list_queues().get("QueueUrls"),
        "buckets": [item["Name"] for item in client(cloud, "s3").list_buckets()["Buckets"]],
        "objects": client(cloud, "s3").list_objects_v2(Bucket="engine-tests").get("Contents"),
    }
