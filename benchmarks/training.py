"""python benchmarks/training.py [digits] [throughput] [fashion-mnist FOLDER]

digits         scikit-learn's 1,797 images with the default options: test accuracy and seconds (wanted: 0.985 in 30 s)
throughput     images a second after the first epoch, as a share of the same steps on one batch over and over, which
               is what --synthetic does (wanted: 0.95): a step of either kind by turns, in one process, so that
               whatever else the machine does slows both; the median of the ratios of neighbours, for a minute; by
               wall time, and by the processor time of all threads, which other work changes less
fashion-mnist  70,000 images of 28 pixels; test accuracy and seconds (wanted: 0.92 in 10 minutes on 2 cores)

The first two are what runs without arguments. For the third, get the data set as a Debian package and unpack it:

    apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb FOLDER
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_WAIT_POLICY"] = "passive"  # threads that wait by spinning would be counted as work

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import numpy as np
import torch
from image_samples import prepare, write_digits
from photographs import write_photographs
from PIL import Image

import train
from dataset import read_split
from inference import model_fn, predict
from loading import batches, open_source
from model import ModelConfig, build
from optimizing import make_optimizer, take_step
from options import parse_arguments
from processes import Processes
from sampling import augment


def main() -> None:
    words = sys.argv[1:] or ["digits", "throughput"]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if "digits" in words or "throughput" in words:
            data = quietly(prepare, write_digits(scratch / "digits"), scratch / "prepared")
        if "digits" in words:
            print_result("digits", *learn(data, scratch / "model"))
        if "throughput" in words:
            print_share("digits of 32 pixels, moved", data)
            photographs = write_photographs(scratch / "photographs", 200)
            data = quietly(prepare, photographs, scratch / "prepared-photographs", "--image-size", "256")
            options = ["--crop", "0.875", "--flip-probability", "0.5", "--batch-size", "16"]
            print_share("photographs, windows of 224 pixels", data, *options)
        if "fashion-mnist" in words:
            images = write_fashion(Path(words[-1]), scratch / "fashion")
            started = time.monotonic()
            data = prepare(images, scratch / "prepared-fashion", "--image-size", "28", "--validation-share", "0.05")
            print(f"fashion-mnist: prepared in {time.monotonic() - started:.0f} s", flush=True)
            options = ["--epochs", "12", "--batch-size", "128", "--flip-probability", "0.5", "--shift", "0.04"]
            print_result("fashion-mnist", *learn(data, scratch / "model", *options))


def print_share(name: str, data: Path, *options: str, seconds: float = 60) -> None:
    """Train with data and on one batch by turns, and compare neighbours."""
    folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", data / "model"]
    arguments = parse_arguments(None, [*map(str, folders), *options])
    device = torch.device("cpu")
    source = open_source(arguments.train, device, arguments.image_size)
    sampler = train.make_sampler(arguments, source, Processes(0, 1, device))
    facts = source.data
    model = build(ModelConfig(arguments.network, facts.classes, facts.image_size, facts.mean, facts.std)).train()
    optimizer = make_optimizer(model, arguments.learning_rate, arguments.weight_decay)
    feed = batches(source, sampler, range(1_000_000), slice(0, sampler.batch))
    images, targets = torch.empty(0), torch.empty(0)

    def step(synthetic: bool) -> tuple[float, float]:
        nonlocal images, targets
        wall, processor = time.perf_counter(), time.process_time()
        if not synthetic:
            batch = next(feed)
            images = augment(batch.images, batch.places, batch.plan, sampler, sampler.window)
            targets = batch.targets
        take_step(model, optimizer, images, targets, arguments.label_smoothing, bf16=False)
        return time.perf_counter() - wall, time.process_time() - processor

    for _ in range(sampler.steps_per_epoch):
        step(synthetic=False)
    began = time.monotonic()
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    while time.monotonic() - began < seconds:
        order = (True, False) if len(pairs) % 2 else (False, True)
        taken = {synthetic: step(synthetic) for synthetic in order}
        pairs.append((taken[False], taken[True]))
    for clock, place in (("wall", 0), ("processor", 1)):
        ratios = [synthetic[place] / with_data[place] for with_data, synthetic in pairs]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = sampler.batch / statistics.median(with_data[place] for with_data, _ in pairs)
        print(f"throughput, {name}, by {clock} time: {rate:.0f} images/s, {middle:.3f} of the same steps on one batch "
              f"(half of {len(pairs)} pairs from {low:.3f} to {high:.3f})", flush=True)  # fmt: skip


def learn(data: Path, model: Path, *options: str) -> tuple[dict[str, Any], float, float]:
    """The report, seconds of the whole training, accuracy on the test images."""
    started = time.monotonic()
    folders = [
        "--train",
        data / "train",
        "--validation",
        data / "validation",
        "--model-dir",
        model,
        "--output-dir",
        model,
    ]
    train.main([*map(str, folders), *options])
    seconds = time.monotonic() - started
    test = read_split(data / "test")
    right = predict(test.images, model_fn(str(model))).probabilities.argmax(1) == test.labels
    return json.loads((model / "report.json").read_text()), seconds, float(right.mean())


def print_result(name: str, report: dict[str, Any], seconds: float, accuracy: float) -> None:
    print(f"{name}: test accuracy {accuracy:.4f} in {seconds:.1f} s")


def quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*arguments)


def write_fashion(package: Path, folder: Path) -> Path:
    """As folders train and test of class folders of PNG files."""
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = (read_idx(next(package.rglob(f"{prefix}-{kind}*"))) for kind in ("images-idx3", "labels-idx1"))
        for index, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / split / str(label) / f"{index:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, compress_level=1)
    return folder


def read_idx(path: Path) -> np.ndarray:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape)


if __name__ == "__main__":
    main()
