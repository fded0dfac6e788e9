"""python benchmarks/preprocess.py [--images 1500] [--rounds 5] [--against REV]

training/preprocess.py against its limit, simplejpeg's bare decode and resize on as many threads, and against the usual
way, Pillow: once the same script with Pillow's decode and resize in their place, once these alone, which verify, split,
hash and write nothing. All on the same JPEGs of 500 x 350 to 224 pixels, by turns, medians of the ratios within a
round. What is measured of ours is the whole script. A rate per core counts the processor time of all threads, so that
it holds on a machine that does other work too; wall time is printed beside it. Then the script's peak memory for 1,000
and for 20,000 images, each in a separate process.

With `--against`, the script as it lies here is compared with the one of another git revision instead, by turns and in
a process each: on these JPEGs, and on the same with EXIF that says how they are turned.

Wanted: 0.85 of the limit, 1.7 times the Pillow way, the same memory, and 0.95 of the speed before a change.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from photographs import write_contents, write_photographs
from PIL import Image

import preprocess
from benchmarks import preprocess_revisions

SIZE = 224
THREADS = os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", metavar="REV", help="a git revision to compare with, e.g. HEAD~1")
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.against:
        preprocess_revisions.compare(arguments.against, arguments.images, arguments.rounds)
        return
    if arguments.memory_of:
        run_ours(arguments.memory_of)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photographs"
        data = write_photographs(folder / "data", arguments.images)
        write_contents(data, folder / "contents.json")
        files = sorted(data.rglob("*.jpg"))
        ways: dict[str, Callable[[], object]] = {
            "simplejpeg, bare": lambda: in_threads(files, bare),
            "Pillow, bare": lambda: in_threads(files, usual),
            "the script with Pillow": lambda: run_with_pillow(folder),
            "ours": lambda: run_ours(folder),
        }
        per_core, by_wall = measure(ways, arguments.images, arguments.rounds, folder / "out")
        for name, rates in (("per core", per_core), ("by wall time", by_wall)):
            print(name)
            for way, values in rates.items():
                print(f"  {way:25} {statistics.median(values):7.0f} images/s")
            for other in [name for name in rates if name != "ours"]:
                ratios = [a / b for a, b in zip(rates["ours"], rates[other], strict=True)]
                print(f"  ours / {other:22} {statistics.median(ratios):7.2f} ({min(ratios):.2f} to {max(ratios):.2f})")

        multiply(data, 1000)
        write_contents(data, folder / "contents.json")
        small = peak_memory(folder)
        multiply(data, 20_000)
        write_contents(data, folder / "contents.json")
        large = peak_memory(folder)
        print(f"peak memory: {small:.0f} MB for 1,000 images, {large:.0f} MB for 20,000")


Rates = dict[str, list[float]]


def measure(ways: dict[str, Callable[[], object]], images: int, rounds: int, out: Path) -> tuple[Rates, Rates]:
    """Images a second of processor time, and of wall time; what a way leaves in `out` is deleted off the clock."""
    per_core: Rates = {name: [] for name in ways}
    by_wall: Rates = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            processor, wall = time.process_time(), time.perf_counter()
            way()
            if number > 0:  # the first is to warm up
                per_core[name].append(images / (time.process_time() - processor))
                by_wall[name].append(images / (time.perf_counter() - wall))
            shutil.rmtree(out, ignore_errors=True)
    return per_core, by_wall


def in_threads(files: list[Path], decode: Callable[[bytes], np.ndarray]) -> None:
    out = np.empty((len(files), SIZE, SIZE, 3), dtype=np.uint8)

    def fill(row: int) -> None:
        out[row] = decode(files[row].read_bytes())

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(fill, range(len(files))))


def bare(content: bytes) -> np.ndarray:
    square = simplejpeg.decode_jpeg(content, "RGB")[:, 75:425]
    planes = torch.from_numpy(square).permute(2, 0, 1)[None]
    return F.interpolate(planes, (SIZE, SIZE), mode="bilinear", antialias=True)[0].permute(1, 2, 0).numpy()


def usual(content: bytes) -> np.ndarray:
    """As torchvision's Resize and CenterCrop."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(image.resize((500 * SIZE // 350, SIZE), Image.Resampling.BILINEAR).crop((48, 0, 48 + SIZE, SIZE)))


def run_with_pillow(folder: Path) -> None:
    with mock.patch.object(preprocess, "fit_image", lambda image, size: usual(image.content)):
        run_ours(folder)


def run_ours(folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        splits = [word for split in ("train", "validation", "test") for word in (f"--{split}", f"{folder}/out/{split}")]
        options = ["--contents", str(folder / "contents.json"), "--image-size", str(SIZE)]
        preprocess.main(["--data", str(folder / "data"), *options, *splits])


def multiply(data: Path, count: int) -> None:
    """Make them `count` images, by links to those that are there."""
    files = sorted(data.rglob("*.jpg"), key=lambda file: file.name)  # by number, hence of all classes
    for file in files[count:]:
        file.unlink()
    for number in range(len(files), count):
        file = files[number % len(files)]
        os.link(file, file.with_name(f"{number:06}.jpg"))


def peak_memory(folder: Path) -> float:
    command = [sys.executable, __file__, "--memory-of", str(folder)]
    megabytes = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    shutil.rmtree(folder / "out")
    return megabytes


if __name__ == "__main__":
    main()
