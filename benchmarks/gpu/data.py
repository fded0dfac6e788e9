"""Data sets to measure with, from random numbers alone: prepared arrays, and JPEG files in class folders."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from dataset import SplitWriter, write_labels

CLASSES = ("blue", "green", "red", "yellow")
COLORS = np.array([[40, 60, 200], [50, 180, 70], [200, 50, 60], [210, 200, 60]], np.uint8)
DIFFERENT = 64  # files; the others repeat them, since a decoder takes as long for the same file


def write_arrays(folder: Path, images: int, side: int) -> Path:
    """Splits `train` and `validation` as preprocess.py leaves them, of noisy images that differ by colour."""
    random = np.random.default_rng(0)
    for split, count in (("train", images), ("validation", max(16, images // 10))):
        writer = SplitWriter(folder / split, side)
        labels = np.arange(count, dtype=np.int64) % len(CLASSES)
        for start in range(0, count, writer.together):
            some = labels[start : start + writer.together]
            noise = random.integers(0, 120, (len(some), side, side, 3), dtype=np.uint8)
            writer.write(noise + COLORS[some][:, None, None, :] // 2)
        facts = {"data_set": "colors", "classes": CLASSES, "image_size": side, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        write_labels(folder / split, writer.finish(), labels, {**facts, "fingerprint": "0" * 32})
    return folder


def encode_photograph(seed: int) -> bytes:
    """A JPEG of 500 x 350 pixels and about 70 KB, which is what photographs of that size have."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (35, 50, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((500, 350), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(noisy).save(content, "JPEG", quality=90)
    return content.getvalue()


def write_photographs(folder: Path, images: int) -> Path:
    contents = [encode_photograph(seed) for seed in range(min(images, DIFFERENT))]
    for split, count in (("train", images), ("validation", 16)):
        for index in range(count):
            path = folder / split / CLASSES[index % len(CLASSES)] / f"{index:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[index % len(contents)])
    return folder
