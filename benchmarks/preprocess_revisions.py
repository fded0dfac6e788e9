"""training/preprocess.py as it lies here against the one of another git revision: `benchmarks/preprocess.py --against`.

Each revision has a separate process, which imports its modules once. They take turns on the same files, and the
first turn of each is to warm up. A rate per core counts the processor time of all threads of the process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
IMPORTED = ("training", "data_sets")  # what a job of preprocessing has on its import path
SIZE = 224
HERE = "here"


class Worker:
    """A process that prepares a folder each time it is asked, and answers with its seconds."""

    def __init__(self, tree: Path) -> None:
        path = os.pathsep.join([str(tree / "training"), str(tree)])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def prepare(self, folder: Path) -> tuple[float, float]:
        """Seconds of processor time and of wall time."""
        assert self._process.stdin
        assert self._process.stdout
        print(folder, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("error: a revision cannot prepare these images; its error is above")
        processor, wall = json.loads(line)
        return processor, wall

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(revision: str, images: int, rounds: int) -> None:
    from photographs import write_contents, write_photographs

    with tempfile.TemporaryDirectory() as scratch:
        there = export(revision, Path(scratch) / "revision")
        plain = Path(scratch) / "photographs"
        write_contents(write_photographs(plain / "data", images), plain / "contents.json")
        turned = Path(scratch) / "photographs with EXIF"
        shutil.copytree(plain, turned)
        add_exif(turned / "data")
        write_contents(turned / "data", turned / "contents.json")
        workers = {HERE: Worker(ROOT), revision: Worker(there)}
        for folder in (plain, turned):
            report(folder.name, measure(workers, folder, rounds), images)
        for worker in workers.values():
            worker.end()


def export(revision: str, target: Path) -> Path:
    """Unpack what the job imports, as that revision has it."""
    listed = subprocess.run(
        ["git", "ls-tree", "--name-only", revision], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    present = [name for name in IMPORTED if name in listed]
    archive = subprocess.run(["git", "archive", revision, *present], cwd=ROOT, check=True, capture_output=True).stdout
    target.mkdir()
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive, check=True)
    return target


def add_exif(data: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132], exif[0x0112] = "A maker", "A camera", "2026:01:01 12:00:00", 6
    payload = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    for file in data.rglob("*.jpg"):
        content = file.read_bytes()
        file.write_bytes(content[:2] + segment + content[2:])


Seconds = dict[str, list[tuple[float, float]]]


def measure(workers: dict[str, Worker], folder: Path, rounds: int) -> Seconds:
    seconds: Seconds = {name: [] for name in workers}
    for number in range(rounds + 1):
        # The order changes, so that what else the machine does slows both alike.
        for name in list(workers) if number % 2 else list(reversed(workers)):
            taken = workers[name].prepare(folder)
            if number > 0:  # the first turn is to warm up
                seconds[name].append(taken)
    return seconds


def report(title: str, seconds: Seconds, images: int) -> None:
    revision = next(name for name in seconds if name != HERE)
    print(title)
    for kind, label in enumerate(("per core", "by wall time")):
        rates = {name: [images / taken[kind] for taken in turns] for name, turns in seconds.items()}
        ratios = [a / b for a, b in zip(rates[HERE], rates[revision], strict=True)]
        for name, values in rates.items():
            print(f"  {label:13} {name:12} {statistics.median(values):7.0f} images/s")
        print(
            f"  {label:13} {HERE} / {revision} {statistics.median(ratios):.3f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def serve(requests: IO[str]) -> None:
    """The worker: a folder a line on standard input, the seconds that it took on standard output."""
    import torch

    import preprocess

    torch.set_num_threads(1)
    for line in requests:
        folder = Path(line.rstrip("\n"))
        splits = [word for split in ("train", "validation", "test") for word in (f"--{split}", f"{folder}/out/{split}")]
        options = ["--contents", str(folder / "contents.json"), "--image-size", str(SIZE)]
        processor, wall = time.process_time(), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            preprocess.main(["--data", str(folder / "data"), *options, *splits])
        taken = time.process_time() - processor, time.perf_counter() - wall
        shutil.rmtree(folder / "out")
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    serve(sys.stdin)
