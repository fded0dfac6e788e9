"""python benchmarks/epochs.py [--images 800] [--rounds 3]

Seconds an epoch where loading is the bound: a tiny network on windows of 224 pixels, against the usual way, by turns
in one process. Usual is a DataLoader of worker processes, one a core, over class folders with torchvision's transforms
Resize(256), RandomCrop(224), RandomHorizontalFlip, ToTensor, Normalize, here written out with Pillow and torch, since
torchvision does not import beside a CPU build of torch; then the same network, optimizer and loss. Ours are train.py's
own parts, from preprocessed arrays of 256 pixels and from the original JPEGs of 500 x 350. A rate per core counts the
processor time of all processes and threads, so that it holds on a machine that does other work too.

Wanted: 3 times as fast from arrays, 1.8 times from the originals.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait by spinning would be counted as work

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import numpy as np
import torch
from photographs import write_contents, write_photographs
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import preprocess
from host_memory import reuse_freed_memory
from loading import Source, batches, open_source
from optimizing import make_optimizer, take_step
from sampling import Sampler, augment

STORED, WINDOW, BATCH = 256, 224, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CORES = os.cpu_count() or 1


class Tiny(nn.Module):
    """8,000 weights. `scaled`: the images come as floats that are normalised already, as the usual way has it."""

    mean: Tensor
    std: Tensor

    def __init__(self, scaled: bool) -> None:
        super().__init__()
        self.scaled = scaled
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1) * 255)
        self.register_buffer("std", torch.tensor(STD).view(-1, 1, 1) * 255)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 8, 8), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.classify = nn.Linear(32, 4)

    def forward(self, images: Tensor) -> Tensor:
        if not self.scaled:
            images = (images - self.mean).div_(self.std)
        scores: Tensor = self.classify(self.layers(images))
        return scores


class Folder(Dataset[tuple[Tensor, int]]):
    """ImageFolder with torchvision's transforms."""

    def __init__(self, folder: Path) -> None:
        classes = sorted(path.name for path in folder.iterdir())
        self.files = [(path, classes.index(path.parent.name)) for path in sorted(folder.rglob("*.jpg"))]
        self.mean, self.std = torch.tensor(MEAN).view(-1, 1, 1), torch.tensor(STD).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        with path.open("rb") as file:
            image = Image.open(file).convert("RGB")
        width, height = image.size
        scale = STORED / min(width, height)
        image = image.resize((int(width * scale), int(height * scale)), Image.Resampling.BILINEAR)
        left, top = (random.randint(0, side - WINDOW) for side in image.size)
        image = image.crop((left, top, left + WINDOW, top + WINDOW))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()  # ToTensor
        return pixels.float().div(255).sub_(self.mean).div_(self.std), label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    reuse_freed_memory()  # for all, the usual way too
    with tempfile.TemporaryDirectory() as scratch:
        data = write_photographs(Path(scratch) / "photographs", arguments.images)
        arrays = open_source(prepare(data, Path(scratch)), torch.device("cpu"), STORED)
        originals = open_source(data, torch.device("cpu"), STORED)
        print(f"arrays: {arrays.describe()}\noriginals: {originals.describe()}")
        loader = DataLoader(
            Folder(data), BATCH, shuffle=True, num_workers=CORES, drop_last=True, persistent_workers=True
        )
        ways: dict[str, Callable[[int], int]] = {
            "usual": lambda epoch: train(((x, y) for x, y in loader), Tiny(scaled=True)),
            "arrays": lambda epoch: train(ours(arrays, epoch), Tiny(scaled=False)),
            "originals": lambda epoch: train(ours(originals, epoch), Tiny(scaled=False)),
        }
        clocks: dict[str, Callable[[], float]] = {"per core": processor_time, "by wall time": time.perf_counter}
        rates: dict[tuple[str, str], list[float]] = {(clock, way): [] for clock in clocks for way in ways}
        for epoch in range(arguments.rounds + 1):
            for name, way in ways.items():
                before = {clock: read() for clock, read in clocks.items()}
                images = way(epoch)
                for clock, read in clocks.items():
                    if epoch > 0:  # the first is to warm up, and to start the workers
                        rates[clock, name].append(images / (read() - before[clock]))
        for (clock, name), values in rates.items():
            ratios = [value / usual for value, usual in zip(values, rates[clock, "usual"], strict=True)]
            low, high = min(ratios), max(ratios)
            print(f"{clock:12} {name:10} {statistics.median(values):6.0f} images/s, "
                  f"{statistics.median(ratios):5.2f} times the usual way ({low:.2f} to {high:.2f})")  # fmt: skip


def processor_time() -> float:
    """Of this process and of the loader's workers, which live on between the epochs (Linux)."""
    seconds = time.process_time()
    for child in Path("/proc/self/task").glob("*/children"):
        for number in child.read_text().split():
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def ours(source: Source, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    sampler = Sampler(len(source), STORED, BATCH, seed=0, crop=WINDOW / STORED, flip_probability=0.5)
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    for batch in batches(source, sampler, steps, slice(0, BATCH)):
        yield augment(batch.images, batch.places, batch.plan, sampler, WINDOW).permute(0, 3, 1, 2), batch.targets


def train(feed: Iterator[tuple[Tensor, Tensor]], model: nn.Module) -> int:
    """One epoch; how many images it had."""
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which its types do not know
    optimizer, seen = make_optimizer(model, 0.001, 0.05), 0
    for images, targets in feed:
        take_step(model, optimizer, images.permute(0, 2, 3, 1), targets, 0.1, bf16=False)
        seen += len(images)
    return seen


def prepare(data: Path, scratch: Path) -> Path:
    contents = write_contents(data, scratch / "contents.json")
    splits = [word for split in ("train", "validation", "test") for word in (f"--{split}", str(scratch / split))]
    shares = ["--validation-share", "0.01", "--test-share", "0.01", "--image-size", str(STORED)]
    with contextlib.redirect_stdout(io.StringIO()):
        preprocess.main(["--data", str(data), "--contents", str(contents), *splits, *shares])
    return scratch / "train"


if __name__ == "__main__":
    main()
