"""Checkpoints that survive being killed at any instant.

A checkpoint is written beside its place, flushed to disk and renamed, so under its name it is always whole; the one
before it stays, in case that a disk or an upload fails all the same. SageMaker copies the folder to S3 while the job
runs and brings it back when a spot instance is replaced. What comes back may be anything, so nothing of it is code:
tensors, a JSON text, and a SHA-256 of both, since the format has no checksums.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from errors import CheckpointError
from nested import digest, put_together, take_apart
from tensor_file import UNFINISHED, write_whole

NAME = re.compile(r"checkpoint-(\d+)\.safetensors")
STATE = "state"  # the entry of the metadata with the SHA-256 and the text
DAMAGED = ".damaged"
KEPT = 2


class Writer:
    """Writes checkpoints on a separate thread: the training waits for a copy of its state in memory alone.

    `ahead` is how many seconds before the end of the interval to begin, so that the checkpoint is on the disk by then,
    and no more than an interval's work is ever lost: as long as the last one took, at most half the interval.
    """

    def __init__(self, folder: Path, interval: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(f"*{UNFINISHED}"):
            shutil.rmtree(unfinished)
        self.folder, self.interval = folder, interval
        self.ahead = 0.0
        self.thread = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Begin to write; raises what went wrong with the checkpoint before, for which it waits."""
        self.wait()
        self.writing = self.thread.submit(self.write, step, on_host(state))

    def write(self, step: int, state: Mapping[str, Any]) -> None:
        began = time.monotonic()
        write(self.folder, step, state)
        self.ahead = min(time.monotonic() - began, self.interval / 2)

    def wait(self) -> None:
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()


def on_host(state: Any) -> Any:
    """A copy of it, with all tensors in the host's memory."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, Mapping):
        return {name: on_host(value) for name, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(on_host(value) for value in state)
    return state


def write(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write the checkpoint of `step` (counted over all epochs) and remove all but the newest two.

    Raises DiskFullError, and leaves the checkpoints before it.
    """
    text, tensors = take_apart(state)
    metadata = {STATE: f"{digest(text, tensors)} {text}"}
    write_whole(tensors, folder / f"checkpoint-{step:08}.safetensors", metadata)
    for old in newest_first(folder)[KEPT:]:
        old.unlink()


def load(folder: Path, configuration: Mapping[str, str]) -> dict[str, Any] | None:
    """The newest whole checkpoint, on the CPU; None when there is none.

    A damaged one is reported, renamed, and passed over. Raises CheckpointError when the newest whole one was made under
    another configuration: to go on with it would give a model that no configuration describes.
    """
    for path in newest_first(folder):
        try:
            state = read(path)
        except MemoryError:
            raise
        except Exception as error:  # damage has a dozen faces: the format, JSON and torch each have their own
            print(f"passing over the damaged checkpoint {path}: {type(error).__name__}: {error}", flush=True)
            path.replace(path.with_suffix(DAMAGED))  # under its name it would push out the good ones to come
            continue
        made_with: Mapping[str, str] = state["configuration"]
        different = sorted(
            name for name in made_with.keys() | configuration.keys() if made_with.get(name) != configuration.get(name)
        )
        if different:
            changes = ", ".join(
                f"{name} was {made_with.get(name, 'absent')} and is {configuration.get(name, 'absent')}"
                for name in different
            )
            raise CheckpointError(
                f"{path} was made by a different training: {changes}",
                hint="choose an empty checkpoint folder, or train with what the checkpoint was made with",
            )
        return state
    return None


def read(path: Path) -> dict[str, Any]:
    """Raises anything when it does not hold, byte for byte, what was written."""
    with safe_open(path, framework="pt") as file:
        written, text = file.metadata()[STATE].split(" ", 1)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
    if digest(text, tensors) != written:
        raise ValueError("it has other bytes than were written")
    state: dict[str, Any] = put_together(text, tensors)
    return state


def newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)
