"""The stack's custom resource, the cloud that it works in, and CloudFormation, which waits for its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from fake_aws import Cloud, Execution
from worlds import BUCKET, CLIENTS, NAME, event

from custom_resource import handler
from shared import aws

PHYSICAL_ID = f"{NAME}-Published"
# Models of other environments, one of which has this one's name with the suffix "-v2", and models made by hand.
OTHERS = [f"another-{NAME}-v1", f"{NAME}-v2-v1", f"{NAME}-v2-v1-0123abcd", f"{NAME}-v1-by-hand"]


class Stack:
    """A cloud with a deployment in it, and CloudFormation, which receives the outcome of each request."""

    def __init__(self, url: str, answers: list[dict[str, Any]]) -> None:
        self.cloud = CLIENTS.cloud = Cloud()
        self.cloud.put("assets", "aaa.tar.gz", b"code")
        self.cloud.put("assets", "bbb.json", b"definition")
        self.cloud.put("assets", "ccc.json", b"newer definition")
        self.url, self.answers = url, answers
        self.seconds_left = 900.0

    def request(self, name: str, **properties: object) -> dict[str, Any]:
        body = event(f"custom_resource_{name}") | {"ResponseURL": self.url}
        body["ResourceProperties"] |= properties
        return self.send(body)

    def send(self, body: dict[str, Any]) -> dict[str, Any]:
        context = SimpleNamespace(
            aws_request_id="r1", get_remaining_time_in_millis=lambda: int(self.seconds_left * 1000)
        )
        handler.handle(body, context)
        return self.answers[-1]

    def sleep(self, seconds: float) -> None:
        """Let time pass: SageMaker completes what was requested."""
        self.seconds_left -= seconds
        for execution in self.cloud.executions.values():
            execution.status = {"Stopping": "Stopped"}.get(execution.status, execution.status)
        for name, endpoint in list(self.cloud.endpoints.items()):
            if endpoint["EndpointStatus"] == "Deleting":
                del self.cloud.endpoints[name]
            else:
                endpoint["EndpointStatus"] = "InService"

    def live(self) -> None:
        """What accumulates while the stack lives, and some that belongs to others."""
        self.cloud.pipelines[NAME] = {"PipelineDefinition": "{}", "RoleArn": "arn:aws:iam::111122223333:role/x"}
        for number, status in enumerate(["Succeeded", "Executing", "Failed", "Stopping", "Executing"]):
            arn = f"arn:aws:sagemaker:eu-central-1:111122223333:pipeline/{NAME}/execution/{number:012}"
            self.cloud.executions[arn] = Execution(arn, NAME, "t", "d", {}, "{}", status)
        for version in range(1, 6):
            self.cloud.register(NAME, version, "Approved")
            self.cloud.models[f"{NAME}-v{version}"] = {}
            self.cloud.configurations[f"{NAME}-v{version}-0123abcd"] = {}
        self.cloud.endpoints[NAME] = {"EndpointConfigName": f"{NAME}-v5-0123abcd", "EndpointStatus": "Updating"}
        for number in range(7):
            self.cloud.put(BUCKET, f"datasets/birds/{number}.jpg", b"x")
        self.cloud.put(BUCKET, "datasets/birds/0.jpg", None)
        self.cloud.register("another", 1, "Approved")
        self.cloud.models |= {name: {} for name in OTHERS}
        self.cloud.configurations |= {name: {} for name in OTHERS}


@pytest.fixture(scope="module")
def cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A real HTTP server to answer to; it takes nothing but a PUT with an empty content type."""
    answers: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answers.append(body | {"content-type": self.headers["Content-Type"], "path": self.path})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/answer?signature=x%2Fy", answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stack(cloudformation: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(*cloudformation)
    monkeypatch.setattr(aws, "client", CLIENTS)
    monkeypatch.setattr(handler.time, "sleep", made.sleep)
    return made
