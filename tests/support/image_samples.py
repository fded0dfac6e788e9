"""What the tests of training/ are made of: tiny images in class folders, real digits, scripts run as processes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

import preprocess

TRAINING = Path(preprocess.__file__).parent

# Four corners of four colours, 54 x 36 pixels, written by libheif.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAb5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAAAA"
    "AERAAAIAAQAAAAAB4gABAAAAAAAAAHUAAgAAAAACVwABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZl"
    "AgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH/"
    "/wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29s"
    "cm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAADYAAAABAAAAJAAAAAH////2AAAAAv///+QAAAACAAAAEHBpeGkAAAAA"
    "AwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAoW1kYXQAAABxKAGvGYBJS/jWKM3i4ir/GNPT"
    "cGfd6u90K+ApkDl+QjGysCX9hndGa62tsuOq+1DEE+/H8RWGH/GdZdDU4n1q7T4Qajk2JHddiFrTbMKhN1GfLbMUvYzLzy24TjPzLWPxG/s6Xub3"
    "elCib7IKgb06J/QAAAAGRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAEAAAAAAAA="
)
ROOT = TRAINING.parent


def picture(color: str, seed: int, size: tuple[int, int] = (20, 16)) -> Image.Image:
    """A noisy image that a network can classify by its colour; each seed gives different bytes."""
    noise = np.random.default_rng(seed).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(np.asarray(Image.new("RGB", size, color)) // 2 + noise)


def write_pictures(folder: Path, counts: Mapping[str, int]) -> Path:
    """`{"red": 3}` as red/0.png … red/2.png."""
    for label, count in counts.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            seed = zlib.crc32(f"{label}/{index}".encode())
            picture(Path(label).name, seed).save(folder / label / f"{index}.png")
    return folder


def write_contents(folder: Path, path: Path, checksum: Callable[[bytes], str] | None = None) -> Path:
    """contents.json of the files that lie in `folder` now."""
    checksum = checksum or crc32
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    objects = [
        {
            "key": file.relative_to(folder).as_posix(),
            "size": file.stat().st_size,
            "checksum": checksum(file.read_bytes()),
        }
        for file in files
    ]
    path.write_text(json.dumps({"data_set": "colors", "fingerprint": "0" * 32, "objects": objects}), "utf-8")
    return path


def crc32(content: bytes) -> str:
    return "CRC32:" + base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def sha256(content: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(content).digest()).decode()


def prepare(data: Path, out: Path, *options: str) -> Path:
    """Run preprocess.py on what lies in `data`; the splits are folders of `out`."""
    out.mkdir(parents=True, exist_ok=True)
    contents = write_contents(data, out / "contents.json")
    outputs = ("train", "validation", "test", "test-files")
    splits = [word for output in outputs for word in (f"--{output}", str(out / output))]
    preprocess.main(["--data", str(data), "--contents", str(contents), *splits, "--threads", "2", *options])
    return out


def facts(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / "dataset.json").read_text("utf-8"))
    return document


def copy_code(target: Path) -> None:
    """What a job unpacks from its code archive: training/, with data_sets/ in it."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TRAINING, target, ignore=ignore)
    shutil.copytree(ROOT / "data_sets", target / "data_sets", ignore=ignore)


def start(*words: object) -> subprocess.Popen[str]:
    """Python as a separate process, on one thread, with training/ on its import path."""
    paths = os.pathsep.join(map(str, (TRAINING, ROOT)))
    return subprocess.Popen(
        [sys.executable, "-B", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "PYTHONPATH": paths},
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


def pack(model: Path, artifact: Path) -> Path:
    """A model folder as SageMaker packs it; returns the folder of the artifact."""
    artifact.mkdir(parents=True, exist_ok=True)
    with tarfile.open(artifact / "model.tar.gz", "w:gz") as file:
        file.add(model, arcname=".")
    return artifact


def write_digits(folder: Path) -> Path:
    digits = load_digits()
    images: NDArray[np.float64] = digits.images
    for index, (pixels, label) in enumerate(zip(images, digits.target, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((pixels * 255 / 16).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        image.save(folder / str(label) / f"{index}.jpg", quality=90)
    return folder
