"""Where a training takes its images from, chosen by their size: the device, a mapped file, or the original files.

    resident   they lie on the device; nothing is moved but the numbers of the rows
    mapped     arrays in files, larger than that: a thread gathers the batches ahead, into pinned memory
    originals  JPEG and other files in class folders: threads decode the batches ahead

Threads and no processes: the decoders and the copies let go of Python's lock, and batches need not be sent anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dataset import DOCUMENT, DataSet, read_split
from errors import DataSetError
from files import read_files, refuse
from host_memory import host_memory
from images import UnreadableImage, fit_image, open_image
from sampling import ROW, Sampler

AHEAD = 3  # batches that a thread prepares: one is used, one is ready, one is made
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Images(Protocol):
    """The images of a split."""

    @property
    def tier(self) -> str: ...

    def fetch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Images (some, side, side, 3) uint8 on the device, and where among them the wanted rows are."""


@dataclass(frozen=True, slots=True)
class Resident:
    images: Tensor
    tier: str = "resident"

    def fetch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        return self.images, rows


@dataclass(frozen=True, slots=True)
class Mapped:
    shards: tuple[NDArray[np.uint8], ...]
    pinned: bool
    tier: str = "mapped"

    def fetch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = torch.empty((len(rows), *self.shards[0].shape[1:]), dtype=torch.uint8, pin_memory=self.pinned)
        target = batch.numpy()
        ends = np.cumsum([len(shard) for shard in self.shards])
        shards = np.searchsorted(ends, rows.numpy(), side="right")
        for place in np.argsort(rows.numpy()):  # in the order in which they lie on the disk
            shard = int(shards[place])
            target[place] = self.shards[shard][int(rows[place]) - int(ends[shard]) + len(self.shards[shard])]
        return batch.to(device, non_blocking=True), torch.arange(len(rows))


@dataclass(frozen=True, slots=True)
class Original:
    """An image that is decoded when it is trained on."""

    path: Path
    name: str  # relative to the split's folder


@dataclass(frozen=True, slots=True)
class Originals:
    samples: tuple[Original, ...]
    size: int
    pinned: bool
    pool: ThreadPoolExecutor
    tier: str = "originals"

    def fetch(self, rows: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        batch = torch.empty((len(rows), self.size, self.size, 3), dtype=torch.uint8, pin_memory=self.pinned)
        target = batch.numpy()

        def decode(place: int, row: int) -> None:
            sample = self.samples[row]
            try:
                target[place] = fit_image(open_image(sample.path.read_bytes()), self.size)
            except UnreadableImage as error:
                raise DataSetError(
                    f"{sample.name} cannot be read: {error}",
                    hint="remove or replace it; preprocess.py skips such images and counts them",
                ) from error

        list(self.pool.map(decode, range(len(rows)), rows.tolist()))
        return batch.to(device, non_blocking=True), torch.arange(len(rows))


@dataclass(frozen=True, slots=True)
class Source:
    """A split: what is known of it, its images, and its labels on the device."""

    data: DataSet
    images: Images
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def describe(self) -> str:
        side = self.data.image_size
        return (
            f"{len(self)} images of {side} pixels, {len(self) * side * side * 3 / 1e6:.0f} MB as arrays, "
            + {
                "resident": f"resident on {self.labels.device}",
                "mapped": "in mapped files, batches gathered ahead by a thread",
                "originals": f"in {self.data.name}, decoded ahead by {os.cpu_count()} threads",
            }[self.images.tier]
        )


def open_source(folder: Path, device: torch.device, image_size: int) -> Source:
    """What preprocess.py wrote, or class folders of images. `image_size` concerns the latter alone."""
    pinned = device.type == "cuda"
    if (folder / DOCUMENT).exists() or not any(folder.glob("*/*")):
        data = read_split(folder)
        images: Images = Mapped(data.shards, pinned)
        if data.nbytes < room_on(device) / 2:
            images = Resident(join_shards(data.shards, device))
        return Source(data, images, torch.from_numpy(data.labels).to(device))
    reading = read_files(folder, folder.name)
    refuse(reading)
    samples = reading.samples
    splits = sorted({sample.split for sample in samples if sample.split})
    if splits:
        raise DataSetError(
            f"{folder} is a whole data set, with images for {' and '.join(splits)}",
            hint="name the folder of one split; lists of splits, as those of CUB-200-2011, preprocess.py reads",
        )
    classes = tuple(sorted({sample.label for sample in samples}))
    labels = np.array([classes.index(sample.label) for sample in samples], dtype=np.int64)
    files = tuple(Original(folder / sample.path, sample.path) for sample in samples)
    data = DataSet(
        (), labels, classes, image_size, IMAGENET_MEAN, IMAGENET_STD, folder.name, "originals", listing(files)
    )
    originals = Originals(files, image_size, pinned, ThreadPoolExecutor(os.cpu_count()))
    return Source(data, originals, torch.from_numpy(labels).to(device))


def room_on(device: torch.device) -> int:
    """Bytes that the data could take there."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else host_memory()


def join_shards(shards: Sequence[NDArray[np.uint8]], device: torch.device) -> Tensor:
    """All images as one tensor. Copied file by file: the host may have no room for what the GPU's memory holds."""
    if len(shards) == 1 and device.type == "cpu":
        return torch.from_numpy(shards[0])  # stays mapped
    images = torch.empty((sum(map(len, shards)), *shards[0].shape[1:]), dtype=torch.uint8, device=device)
    start = 0
    for shard in shards:
        images[start : start + len(shard)].copy_(torch.from_numpy(shard))
        start += len(shard)
    return images


def listing(samples: tuple[Original, ...]) -> str:
    """Stands for the content of original files in a checkpoint's configuration: their names and sizes."""
    lines = "\n".join(f"{sample.name} {sample.path.stat().st_size}" for sample in samples)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Batch:
    images: Tensor  # (some, side, side, 3) uint8
    places: Tensor  # of the batch's images among them
    plan: Tensor
    targets: Tensor


def batches(source: Source, sampler: Sampler, steps: range, part: slice) -> Iterator[Batch]:
    """The batches of these steps, of which this process sees `part`; made ahead by a thread, unless resident."""
    device = source.labels.device
    # On a separate stream, a copy to the GPU runs beside the kernels of the step before.
    copies = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def on_device(tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor

    def make(step: int) -> Batch:
        plan = sampler.plan(step)[part]
        with torch.cuda.stream(copies):
            images, places = source.images.fetch(plan[:, ROW].contiguous(), device)
            plan = on_device(plan)
            return Batch(images, on_device(places), plan, source.labels[plan[:, ROW]])

    made = iter(map(make, steps)) if source.images.tier == "resident" else ahead(make, steps, device)
    for batch in made:
        if copies is not None:
            current = torch.cuda.current_stream(device)
            current.wait_stream(copies)
            for tensor in (batch.images, batch.places, batch.plan, batch.targets):
                tensor.record_stream(current)  # so that its memory is not given away while the step still reads it
        yield batch


def ahead(make: Callable[[int], Batch], steps: range, device: torch.device) -> Iterator[Batch]:
    made: queue.Queue[Batch | BaseException] = queue.Queue(AHEAD - 1)
    over = threading.Event()

    def put(item: Batch | BaseException) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                made.put(item, timeout=0.1)
                return

    def work() -> None:
        try:
            if device.type == "cuda":
                torch.cuda.set_device(device)  # a thread begins with the first GPU, whatever the process has
            for step in steps:
                put(make(step))
                if over.is_set():
                    return
        except BaseException as error:  # raised where the batch is wanted
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        for _ in steps:
            batch = made.get()
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        over.set()
        thread.join()
