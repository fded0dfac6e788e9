"""The parts of the measurement. Each runs as a separate process with a time limit, whatever becomes of the others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TAIL_LINES = 15
GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # of the module as well
    title: str
    seconds: float  # its limit on a GPU
    needs: tuple[str, ...] = ()  # packages beside torch; without simplejpeg there is a stand-in


PARTS = (
    Part("precision", "a training step of a ResNet-50: precision and memory layout", 90),
    Part("compiled", "torch.compile: its cost, what it saves, and the rule of training/compiling.py", 100),
    Part("waiting", "waiting for data, by tier", 90, ("numpy", "PIL", "safetensors")),
    Part("resumed", "killed and resumed", 100, ("numpy", "PIL", "safetensors")),
    Part("shared", "two processes on the one GPU", 60, ("numpy", "PIL", "safetensors")),
    Part("serving", "answers of inference.py", 40, ("numpy", "PIL", "safetensors")),
    Part("suite", "tests/training on this machine", 150, ("numpy", "PIL", "safetensors", "sklearn", "pytest")),
)


@dataclass(frozen=True, slots=True)
class Result:
    part: Part
    status: str  # done, failed, timed out, not run
    reason: str
    seconds: float
    rows: list[dict[str, Any]] = field(default_factory=list)  # what, value, unit; with those measured before a failure

    def summary(self) -> str:
        return f"{self.part.name}: {self.status} in {self.seconds:.0f} s{': ' if self.reason else ''}{self.reason}"


def run_all(
    parts: Sequence[Part], scratch: Path, python: str, small: bool, seconds: float, missing: Sequence[str]
) -> Iterator[Result]:
    """A result for each part; those for which the time no longer suffices are not run."""
    ends = time.monotonic() + seconds
    for part in parts:
        lacking = [name for name in part.needs if name in missing]
        left = ends - time.monotonic()
        if lacking:
            yield Result(part, "not run", f"this Python lacks {', '.join(lacking)}", 0.0)
        elif left < GRACE_SECONDS:
            yield Result(part, "not run", f"the {seconds:.0f} s for all parts are over", 0.0)
        else:
            folder = scratch / part.name
            folder.mkdir()
            command = [python, "-B", "-m", "benchmarks.gpu.part", part.name, str(folder)]
            # A small run is bounded by the processor alone, which may do other work beside it.
            limit = left if small else min(part.seconds, left)
            if small:
                command += ["--small"]
            yield run(part, command, folder / "rows.jsonl", limit)


def run(part: Part, command: Sequence[str], rows: Path, limit: float) -> Result:
    began = time.monotonic()
    log = rows.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = "done" if process.wait(limit) == 0 else "failed"
        except subprocess.TimeoutExpired:
            status = "timed out"
        finally:
            end_group(process)
    seconds = time.monotonic() - began
    measured = [json.loads(line) for line in rows.read_text("utf-8").splitlines()] if rows.exists() else []
    if status == "done":
        return Result(part, status, "", seconds, measured)
    tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
    print(f"--- {part.name}: the end of its output\n{tail}\n---", flush=True)
    last = tail.splitlines()[-1] if tail else "it printed nothing"
    reason = f"after {limit:.0f} s" if status == "timed out" else last
    return Result(part, status, reason, seconds, measured)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """The part and whatever it started: torchrun passes a SIGTERM on to its processes, which are of other groups."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
