"""A split of a data set as files that a training reads without decoding anything.

    images.npy    (n, size, size, 3) uint8, memory-mapped on reading
    labels.npy    (n,) int64, indexes into the classes
    dataset.json  classes, image size, counts, mean and std of the training images, fingerprint, what was skipped

`digest` in dataset.json is the SHA-256 of both arrays' bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from errors import DataSetError

CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class DataSet:
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]  # of each channel of the training images, where 1 is white
    std: tuple[float, ...]
    name: str
    fingerprint: str  # of the objects that it was made from
    digest: str  # SHA-256 of the arrays

    def __len__(self) -> int:
        return len(self.labels)


def create_images(path: Path, count: int, size: int) -> NDArray[np.uint8]:
    """An array on disk, to be filled: the operating system keeps in memory what fits.

    Its room is reserved here, for a full disk met later, through mapped memory, kills the process (SIGBUS) without a
    word. macOS cannot reserve. Raises OSError.
    """
    images: NDArray[np.uint8] = np.lib.format.open_memmap(path, "w+", np.uint8, (count, size, size, 3))
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    return images


def write_split(
    folder: Path,
    images: NDArray[np.uint8],
    rows: Sequence[int],
    labels: Sequence[int],
    facts: Mapping[str, Any],
) -> None:
    """Write the given rows of `images` with their labels; `facts` goes into dataset.json."""
    folder.mkdir(parents=True, exist_ok=True)
    target = create_images(folder / "images.npy", len(rows), images.shape[1])
    digest = hashlib.sha256()
    for chunk in chunks(len(rows), images):
        target[chunk] = images[rows[chunk]]
        digest.update(target[chunk].tobytes())
    label_array = np.asarray(labels, dtype=np.int64)
    digest.update(label_array.tobytes())
    np.save(folder / "labels.npy", label_array)
    classes = facts["classes"]
    counts = {classes[label]: int(count) for label, count in enumerate(np.bincount(label_array))}
    document = {**facts, "counts": counts, "digest": digest.hexdigest()}
    (folder / "dataset.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")


def mean_and_std(images: NDArray[np.uint8], rows: Sequence[int]) -> tuple[list[float], list[float]]:
    """Of each channel, on the scale where 1 is white; from histograms, hence exact whatever the order."""
    counts = np.zeros((3, 256), dtype=np.int64)
    for chunk in chunks(len(rows), images):
        pixels = images[rows[chunk]].reshape(-1, 3)
        counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])
    values, total = np.arange(256) / 255, counts.sum(1)
    mean = counts @ values / total
    std = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0))
    # A channel without any contrast must not be divided by nothing.
    return mean.tolist(), np.maximum(std, 1 / 255).tolist()


def chunks(count: int, images: NDArray[np.uint8]) -> Iterator[slice]:
    step = max(1, CHUNK_BYTES // images[0].nbytes)
    for start in range(0, count, step):
        yield slice(start, start + step)


def read_split(folder: Path) -> DataSet:
    """Raises DataSetError when `folder` is not what `write_split` makes."""
    try:
        facts = json.loads((folder / "dataset.json").read_text("utf-8"))
        data = DataSet(
            # Copy on write: torch wants writable memory, and the file must stay as it is.
            images=np.load(folder / "images.npy", mmap_mode="c"),
            labels=np.load(folder / "labels.npy"),
            classes=tuple(facts["classes"]),
            image_size=facts["image_size"],
            mean=tuple(facts["mean"]),
            std=tuple(facts["std"]),
            name=facts["data_set"],
            fingerprint=facts["fingerprint"],
            digest=facts["digest"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataSetError(
            f"{folder} is no prepared data set: {type(error).__name__}: {error}",
            hint="name a folder that preprocess.py wrote (images.npy, labels.npy, dataset.json)",
        ) from error
    expected = (len(data.labels), data.image_size, data.image_size, 3)
    if data.images.shape != expected or data.images.dtype != np.uint8:
        raise DataSetError(
            f"{folder / 'images.npy'} is {data.images.dtype}{data.images.shape} and not uint8{expected}",
            hint="run preprocess.py again",
        )
    return data
