"""A local cloud that only says that it runs, and what a command printed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
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

    def secret_key(self, account: str) -> str:
        return f"secret of {account}"


@dataclass
class FakeCloud:
    """A local cloud that is up or down, and takes note of being started and stopped."""

    instance: FakeRunning
    is_up: bool = True
    started: list[tuple[Path, int | None]] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)

    def start(self, state: Path, *, port: int | None = None) -> FakeRunning:
        if not self.is_up:
            self.started.append((state, port))
        self.is_up = True
        return self.instance

    def stop(self, state: Path) -> bool:
        was_up, self.is_up = self.is_up, False
        return was_up

    def secret_key(self, state: Path, account: str) -> str:
        return self.instance.secret_key(account)

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
    def next(self) -> str:
        """The suggested command, as it can be typed."""
        return self._suggested("next")

    @property
    def hint(self) -> str:
        return self._suggested("hint")

    def _suggested(self, kind: str) -> str:
        (line,) = [line for line in self.err.splitlines() if line.startswith(f"{kind}: ")]
        return line.removeprefix(f"{kind}: ")

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def follow(headrace: Callable[..., Result], command: str, **values: str) -> Result:
    """Types a suggested command as it stands; `values` replace its placeholders, such as FOLDER or VERSION."""
    words = shlex.split(command.partition("   # ")[0])
    assert words[0] == "headrace", command
    return headrace(*(values.get(word, word) for word in words[1:]))
