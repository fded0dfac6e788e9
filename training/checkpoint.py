"""Checkpoints that survive being killed at any instant.

A checkpoint is written beside its place, flushed to disk and renamed, so under its name it is always whole; the one
before it stays, in case that a disk or an upload fails all the same. SageMaker copies the folder to S3 while the job
runs and brings it back when a spot instance is replaced.
"""

from __future__ import annotations

import io
import os
import re
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from errors import CheckpointError, DiskFullError, full_disk

NAME = re.compile(r"checkpoint-(\d+)\.pt")
UNFINISHED, DAMAGED = ".unfinished", ".damaged"
KEPT = 2


class Writer:
    """Writes checkpoints on a thread of its own: the training waits for a copy of its state in memory alone.

    `ahead` is how many seconds before the end of the interval to begin, so that the checkpoint is on the disk by then,
    and no more than an interval's work is ever lost: as long as the last one took, at most half the interval.
    """

    def __init__(self, folder: Path, interval: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob(f"*{UNFINISHED}"):
            unfinished.unlink()
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
    save_whole(state, folder / f"checkpoint-{step:08}.pt")
    for old in newest_first(folder)[KEPT:]:
        old.unlink()


def save_whole(value: Mapping[str, Any], path: Path) -> None:
    """torch.save, after which the file is whole and on the disk, or not there. Raises DiskFullError."""
    unfinished = path.with_suffix(UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            torch.save(value, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)  # on a full disk, the reason of the failure needs its room
        refusal = full_disk(error)
        if refusal is None:
            raise
        raise DiskFullError(refusal, path) from error
    # The rename itself is safe only once the folder is on disk.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(folder: Path, configuration: Mapping[str, str]) -> dict[str, Any] | None:
    """The newest whole checkpoint, on the CPU; None when there is none.

    A damaged one is reported, renamed, and passed over. Raises CheckpointError when the newest whole one was made under
    another configuration: to go on with it would give a model that no configuration describes.
    """
    for path in newest_first(folder):
        content = path.read_bytes()
        try:
            state = parse(content)
        except MemoryError:
            raise
        except Exception as error:  # damage has a dozen faces: zip, pickle and torch each have their own
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


def parse(content: bytes) -> dict[str, Any]:
    """Raises anything when it is not, byte for byte, what was written."""
    # torch does not look at the checksums of the zip file that it writes.
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        damaged = file.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} has other bytes than were written")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)
