"""python benchmarks/training.py [digits] [throughput] [fashion-mnist FOLDER]

digits         scikit-learn's 1,797 images with the default options: test accuracy and seconds (wanted: 0.985 in 30 s)
throughput     images a second after the first epoch, as a share of the same steps without data (wanted: 0.95)
fashion-mnist  70,000 images of 28 pixels; test accuracy and seconds (wanted: 0.92 in 10 minutes on 2 cores)

The first two are what runs without arguments. For the third, get the data set as a Debian package and unpack it:

    apt-get download dataset-fashion-mnist && dpkg-deb -x dataset-fashion-mnist_*.deb FOLDER
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import numpy as np
from image_samples import prepare, write_digits
from PIL import Image

import train
from dataset import read_split
from inference import model_fn, predict


def main() -> None:
    words = sys.argv[1:] or ["digits", "throughput"]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if "digits" in words or "throughput" in words:
            data = quietly(prepare, write_digits(scratch / "digits"), scratch / "prepared")
        if "digits" in words:
            print_result("digits", *learn(data, scratch / "model"))
        if "throughput" in words:
            report, _, _ = learn(data, scratch / "model", "--epochs", "10", "--ceiling-seconds", "6")
            waiting = report["data_wait_seconds"] / report["step_seconds"]
            speed, limit = report["median_images_per_second"], report["ceiling_images_per_second"]
            share = f"{speed:.0f} images/s, {speed / limit:.3f} of {limit:.0f} without data"
            print(f"throughput: {share}; {waiting:.3f} of a step is data")
        if "fashion-mnist" in words:
            images = write_fashion(Path(words[-1]), scratch / "fashion")
            started = time.monotonic()
            data = prepare(images, scratch / "prepared-fashion", "--image-size", "28", "--validation-share", "0.05")
            print(f"fashion-mnist: prepared in {time.monotonic() - started:.0f} s", flush=True)
            options = ["--epochs", "6", "--batch-size", "128", "--flip-probability", "0.5", "--shift", "0.04"]
            print_result("fashion-mnist", *learn(data, scratch / "model", *options))


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
