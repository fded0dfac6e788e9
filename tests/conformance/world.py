"""What the checks share: the environment, its clients, what earlier checks found, and what has to be cleared up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environments.settings import Settings
from headrace.client.environment import Environment
from headrace.client.executions import Execution
from headrace.client.model_packages import Model
from tests.conformance.recording import Recorder


@dataclass(slots=True)
class World:
    environment: Environment
    settings: Settings  # the same environment's table of environments.toml
    recorder: Recorder
    scratch: Path
    deployed: bool = False  # by the checks, and to be destroyed by them
    events_queue: str = ""  # URLs
    notices_queue: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    execution: Execution | None = None  # the first run, once it has succeeded
    model: Model | None = None  # what it registered
    served: bool = False
    image: Path | None = None  # one that no training saw, of class red
    cleanup: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    @property
    def is_local(self) -> bool:
        return self.environment.running is not None

    def ask(self, service: str, operation: str, **parameters: Any) -> Any:
        """One call, whose answer, or error, is recorded."""
        try:
            answer = getattr(self.environment.client(service), operation)(**parameters)
        except Exception as error:
            self.recorder.record(f"{service}.{operation} error", getattr(error, "response", {"Error": str(error)}))
            raise
        self.recorder.record(f"{service}.{operation}", answer)
        return answer

    def every(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        """The items of all pages, recorded as one answer."""
        pages = self.environment.client(service).get_paginator(operation).paginate(**parameters)
        items = [item for page in pages for item in page[key]]
        self.recorder.record(f"{service}.{operation}", {key: items})
        return items

    def wait(self, question: Callable[[], Any], *, seconds: float) -> Any:
        """The first answer that is true, or the last one when the time is over."""
        deadline = time.monotonic() + seconds
        while not (answer := question()) and time.monotonic() < deadline:
            time.sleep(0.5 if self.is_local else 10)
        return answer

    def receive(self) -> None:
        """Take what has arrived in the two queues, and record it."""
        for kind, url, found in (
            ("event", self.events_queue, self.events),
            ("notice", self.notices_queue, self.notices),
        ):
            sqs = self.environment.client("sqs")
            while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                for message in messages:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    content = json.loads(message["Body"])
                    self.recorder.record(kind, content)
                    found.append(content)

    def clean_up(self) -> list[str]:
        """Take away what the checks have made, the last first; what stays, and why."""
        left = []
        while self.cleanup:
            what, act = self.cleanup.pop()
            try:
                act()
            except Exception as error:
                left.append(f"{what}: {' '.join(str(error).split())}")
        return left
