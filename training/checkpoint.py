"""Checkpoints that survive being killed at any instant.

A checkpoint is written beside its place, flushed to disk and renamed, so under its name it is always whole; the one
before it stays, in case that a disk or an upload fails all the same. SageMaker copies the folder to S3 while the job
runs and brings it back when a spot instance is replaced.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from errors import CheckpointError, DiskFullError, full_disk

NAME = re.compile(r"checkpoint-(\d+)\.pt")
KEPT = 2


def save(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write the checkpoint of `step` (counted over all epochs) and remove all but the newest two.

    Raises DiskFullError, and leaves the checkpoints before it.
    """
    path = folder / f"checkpoint-{step:08}.pt"
    unfinished = path.with_suffix(".unfinished")
    try:
        with unfinished.open("wb") as file:
            torch.save(dict(state), file)
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
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    for old in newest_first(folder)[KEPT:]:
        old.unlink()


def load(folder: Path, configuration: Mapping[str, str]) -> dict[str, Any] | None:
    """The newest whole checkpoint, on the CPU; None when there is none.

    A damaged one is reported and passed over. Raises CheckpointError when the newest whole one was made under another
    configuration: to go on with it would give a model that no configuration describes.
    """
    for path in newest_first(folder):
        try:
            # torch does not look at the checksums of the zip file that it writes.
            with zipfile.ZipFile(path) as file:
                damaged = file.testzip()
            if damaged is not None:
                raise zipfile.BadZipFile(f"{damaged} has other bytes than were written")
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
            print(f"passing over the damaged checkpoint {path}: {error}", flush=True)
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


def newest_first(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)
