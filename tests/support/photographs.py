"""Photographs to measure with: crops of scikit-learn's two real ones, no two alike, as JPEG of 500 x 350 pixels."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images


def write_photographs(folder: Path, count: int, classes: int = 4, size: tuple[int, int] = (500, 350)) -> Path:
    """Folders of classes; at quality 95 about as many bytes each as the photographs of CUB-200-2011 (97 KB)."""
    sources = load_sample_images().images
    random = np.random.default_rng(0)
    for index in range(count):
        source = sources[index % 2]
        height, width = (int(side * random.uniform(0.85, 0.99)) for side in source.shape[:2])
        top, left = (random.integers(0, most) for most in (source.shape[0] - height, source.shape[1] - width))
        crop = Image.fromarray(source[top : top + height, left : left + width])
        path = folder / f"class-{index % classes}" / f"{index:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop.resize(size, Image.Resampling.BICUBIC).save(path, quality=95)
    return folder


def write_contents(folder: Path, path: Path) -> Path:
    """contents.json, as the function that starts the pipeline writes it."""
    objects = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        checksum = "CRC32:" + base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
        objects.append({"key": file.relative_to(folder).as_posix(), "size": len(content), "checksum": checksum})
    path.write_text(json.dumps({"data_set": "photographs", "fingerprint": "0" * 32, "objects": objects}))
    return path
