"""The SageMaker service assembled in the test's own process: a fake cloud, a launcher that starts nothing."""

import json
import weakref
from pathlib import Path
from typing import Any

from eventually import eventually

from local_cloud.sagemaker import api
from local_cloud.sagemaker.containers.launcher import Container, Launcher, Process
from local_cloud.sagemaker.core.clock import Clock
from local_cloud.sagemaker.core.cloud import Call, Credentials, Gateway
from local_cloud.sagemaker.core.store import Scope

SCOPE = Scope("000000000000", "us-east-1")
ROLE = "arn:aws:iam::000000000000:role/everything"
TOKEN = "t" * 32


class FakeCloud:
    """Grants every role, and keeps the events."""

    gateway = Gateway("http://127.0.0.1:1", "none")

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        return Credentials("id", "secret", "token")

    def prolong(self, credentials: Credentials) -> None:
        pass

    def end(self, credentials: Credentials) -> None:
        pass

    def require_trust(self, role_arn: str, service: str, source_arn: str) -> None:
        pass

    def administrator(self, account: str) -> Credentials:
        return Credentials(account, account, "")

    def publish(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        self.events.append((detail_type, detail))


class NoLauncher:
    def launch(self, container: Container) -> Process:
        raise AssertionError(f"nothing should start {container.name}")


class Refused(Exception):
    """An error answer: the code and the message."""


class InProcess:
    def __init__(self, directory: Path, launcher: Launcher | None = None, clock: Clock | None = None) -> None:
        self.cloud = FakeCloud()
        self.service = api.assemble(self.cloud, directory, launcher or NoLauncher(), clock)
        # From Python 3.13 on, a database that nobody closed is a ResourceWarning, in whatever test runs next. What
        # still runs is ended first: it would read a closed database.
        weakref.finalize(self, self.service.stop)

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        call = Call(SCOPE, lambda action, resource: None)
        status, document = api.answer(self.service, operation, call, json.dumps(request).encode())
        if status != 200:
            raise Refused(f"{document['__type']}: {document['message']}")
        return document

    def create(self, name: str, *steps: dict[str, Any], **more: Any) -> None:
        text = json.dumps({"Version": "2020-12-01", "Steps": list(steps), **more})
        self.call("CreatePipeline", PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=TOKEN)

    def start(self, name: str, token: str = TOKEN, **more: Any) -> str:
        arn: str = self.call("StartPipelineExecution", PipelineName=name, ClientRequestToken=token, **more)[
            "PipelineExecutionArn"
        ]
        return arn

    def end_of(self, arn: str) -> tuple[str, dict[str, dict[str, Any]]]:
        """Status of the ended execution, and its steps by name."""

        def status() -> str:
            return str(self.call("DescribePipelineExecution", PipelineExecutionArn=arn)["PipelineExecutionStatus"])

        eventually(f"{arn} has ended", lambda: status() not in ("Executing", "Stopping"), seconds=10, interval=0.01)
        steps = self.call("ListPipelineExecutionSteps", PipelineExecutionArn=arn)["PipelineExecutionSteps"]
        return status(), {step["StepName"]: step for step in steps}
