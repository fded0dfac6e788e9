"""A local cloud that only says that it runs, and what a command printed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripted_aws import ACCOUNT, REGION


@dataclass(frozen=True)
class FakeRunning:
    endpoint: str
    certificate: Path
    pid: int = 4242
    region: str = REGION
    account: str = ACCOUNT


@dataclass
class FakeCloud:
    """A local cloud that is up or down, and takes note of being started and stopped."""

    instance: FakeRunning
    is_up: bool = True
    started: list[tuple[Path, int | None]] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)

    def start(self, state: Path, *, port: int | None = None) -> FakeRunning:
        self.started.append((state, port))
        self.is_up = True
        return self.instance

    def stop(self, state: Path) -> bool:
        was_up, self.is_up = self.is_up, False
        return was_up

    def interrupt(self, state: Path, job: str) -> None:
        self.interrupted.append(job)

    def running(self, state: Path) -> FakeRunning | None:
        return self.instance if self.is_up else None


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)
