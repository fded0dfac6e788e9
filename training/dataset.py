"""A split of a data set as files that a training reads without decoding anything.

    images-00000.npy …  (n, size, size, 3) uint8 each, about 150 MB, memory-mapped on reading
    labels.npy          (all,) int64, indexes into the classes
    dataset.json        classes, image size, counts, mean and std of the training images, fingerprint of the source,
                        what was skipped and why, and for each file its number of images and the SHA-256 of its array

`digest` in dataset.json is the SHA-256 of those SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from errors import DataSetError, DiskFullError, full_disk

SHARD_BYTES = 150 * 10**6
BUFFER_BYTES = 32 * 2**20
PIECE_BYTES = 2**16  # Linux (ext4) writes new files in such pieces at 3.7 GB/s of processor time, in larger ones at 0.5
DOCUMENT = "dataset.json"


@dataclass(frozen=True, slots=True)
class DataSet:
    shards: tuple[NDArray[np.uint8], ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]  # of each channel of the training images, where 1 is white
    std: tuple[float, ...]
    name: str
    fingerprint: str  # of the objects that it was made from
    digest: str  # SHA-256 of the files

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def nbytes(self) -> int:
        return sum(shard.nbytes for shard in self.shards)

    @property
    def images(self) -> NDArray[np.uint8]:
        """All of them as one array: a copy in memory, unless they lie in one file."""
        return self.shards[0] if len(self.shards) == 1 else np.concatenate(self.shards)


@dataclass(frozen=True, slots=True)
class File:
    file: str
    images: int
    sha256: str


class SplitWriter:
    """Takes the images of a split, a buffer at a time, and writes them as files.

    A separate thread hashes and writes one buffer while the next is filled: two are in memory, whatever the number of
    images. Raises DiskFullError, at the next call.
    """

    def __init__(self, folder: Path, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.shape = folder, (size, size, 3)
        self.together = max(1, BUFFER_BYTES // (size * size * 3))
        self.most = max(1, SHARD_BYTES // (size * size * 3))  # in a file
        self.buffers = [np.empty((self.together, *self.shape), dtype=np.uint8) for _ in range(2)]
        self.thread = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None
        self.files: list[ImageFile] = []

    def buffer(self) -> NDArray[np.uint8]:
        """The buffer that is not being written: room for `together` images."""
        return self.buffers[0]

    def write(self, images: NDArray[np.uint8]) -> None:
        """Write these images, which lie in the buffer that was given last or are a copy."""
        self.wait()
        self.writing = self.thread.submit(self._append, images)
        self.buffers.reverse()

    def finish(self) -> list[File]:
        self.wait()
        self.thread.shutdown()
        self._close_last()
        return [File(file.path.name, file.count, file.digest.hexdigest()) for file in self.files]

    def wait(self) -> None:
        if self.writing is not None:
            self.writing.result()

    def _append(self, images: NDArray[np.uint8]) -> None:
        while len(images):
            if not self.files or self.files[-1].count == self.most:
                self._close_last()
                self.files.append(ImageFile(self.folder / f"images-{len(self.files):05}.npy", self.shape))
            room = self.most - self.files[-1].count
            self.files[-1].append(images[:room])
            images = images[room:]

    def _close_last(self) -> None:
        if self.files:
            self.files[-1].close()


class ImageFile:
    """An .npy file that grows. Raises DiskFullError, and removes it: the reason of the failure needs its room."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape, self.count = path, shape, 0
        self.digest = hashlib.sha256()
        self.file = path.open("wb", buffering=0)
        self._write_header()

    def append(self, images: NDArray[np.uint8]) -> None:
        self.count += len(images)
        content = images.data.cast("B")
        with deleting_on_full_disk(self.path, self.file):
            for start in range(0, len(content), PIECE_BYTES):
                piece = content[start : start + PIECE_BYTES]
                self.digest.update(piece)
                while len(piece):  # the last room of a full disk takes a part
                    piece = piece[self.file.write(piece) :]

    def close(self) -> None:
        with deleting_on_full_disk(self.path, self.file):
            self.file.seek(0)
            self._write_header()
            self.file.close()

    def _write_header(self) -> None:
        # numpy pads the header, so that it is as long for any number of images (GROWTH_AXIS_MAX_DIGITS).
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


def write_labels_file(path: Path, labels: NDArray[np.int64]) -> File:
    with path.open("wb") as file, deleting_on_full_disk(path, file):
        np.save(file, labels)
    return File(path.name, len(labels), hashlib.sha256(labels.data).hexdigest())


@contextmanager
def deleting_on_full_disk(path: Path, file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        refusal = full_disk(error)
        if refusal is None:
            raise
        file.close()  # its room is free only then
        path.unlink(missing_ok=True)
        raise DiskFullError(refusal, path) from error


def write_labels(folder: Path, files: Sequence[File], labels: NDArray[np.int64], facts: Mapping[str, Any]) -> None:
    """Complete a split: its labels, and dataset.json with `facts`."""
    files = [*files, write_labels_file(folder / "labels.npy", labels)]
    classes = facts["classes"]
    counts = np.bincount(labels, minlength=len(classes))
    document = {
        **facts,
        "counts": {label: int(count) for label, count in zip(classes, counts, strict=True)},
        "files": [{"file": file.file, "images": file.images, "sha256": file.sha256} for file in files],
        "digest": hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest(),
    }
    (folder / DOCUMENT).write_text(json.dumps(document, indent=2) + "\n", "utf-8")


class Contrast:
    """Mean and standard deviation of each channel, from a sample of the images: exact of those, whatever their order.

    A thousand images, each thinned out to at most 63 pixels a side, take 20 ms and give three digits.
    """

    def __init__(self, count: int, size: int) -> None:
        self.every, self.thin = -(-count // 1000), -(-size // 63)
        self.counts = np.zeros((3, 256), dtype=np.int64)

    def add(self, images: NDArray[np.uint8]) -> None:
        pixels = images[:: self.every, :: self.thin, :: self.thin].reshape(-1, 3)
        self.counts += np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])

    def mean_and_std(self) -> tuple[list[float], list[float]]:
        """On the scale where 1 is white."""
        values, total = np.arange(256) / 255, self.counts.sum(1)
        mean = self.counts @ values / total
        std = np.sqrt(np.maximum(self.counts @ values**2 / total - mean**2, 0))
        # A channel without any contrast must not be divided by nothing.
        return mean.tolist(), np.maximum(std, 1 / 255).tolist()


def read_split(folder: Path) -> DataSet:
    """Raises DataSetError when `folder` is not what preprocess.py makes."""
    try:
        facts = json.loads((folder / DOCUMENT).read_text("utf-8"))
        *images, labels = facts["files"]
        data = DataSet(
            # Copy on write: torch wants writable memory, and the file must stay as it is.
            shards=tuple(np.load(folder / entry["file"], mmap_mode="c", allow_pickle=False) for entry in images),
            labels=np.load(folder / labels["file"], allow_pickle=False),
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
            f"{folder} is not a prepared data set: {type(error).__name__}: {error}",
            hint=f"name a folder that preprocess.py wrote (images-*.npy, labels.npy, {DOCUMENT})",
        ) from error
    for entry, shard in zip(images, data.shards, strict=True):
        expected = (entry["images"], data.image_size, data.image_size, 3)
        if shard.shape != expected or shard.dtype != np.uint8:
            raise DataSetError(
                f"{folder / entry['file']} is {shard.dtype}{shard.shape} and not uint8{expected}",
                hint="run preprocess.py again",
            )
    return data
