"""A training that gets a SIGKILL and a SIGTERM and goes on each time, against one that is left alone: the weights."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from benchmarks.gpu.data import write_arrays
from benchmarks.gpu.part import Bench
from benchmarks.gpu.weights import SCRIPT, compare, finish, start


def measure(bench: Bench) -> None:
    images, epochs = (192, 12) if bench.small else (4096, 5)
    data = write_arrays(bench.folder / "arrays", images, 32)

    def words(name: str, *more: str) -> list[object]:
        out = bench.folder / name
        folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", out / "model"]
        often = ["--checkpoint-dir", out / "checkpoints", "--checkpoint-seconds", 0]
        return [SCRIPT, *folders, *often, "--epochs", epochs, "--flip-probability", 0.5, *more]

    kinds = [("--deterministic", ["--deterministic"]), ("default", [])]
    for kind, more in kinds[: 1 if bench.small else 2]:
        alone, killed, again = (f"{name}{kind}" for name in ("alone", "killed", "again"))
        finish(start(words(alone, *more)))
        kills = interrupt(words(killed, *more), bench.folder / killed / "checkpoints", epochs * (images // 64))
        what = f"{kind}: weights after {' and '.join(kills) or 'no kill, it was faster'}"
        bench.add(what, compare(bench.folder / alone / "model", bench.folder / killed / "model"))
        if not more:
            finish(start(words(again)))
            what = "default: weights of two trainings that were left alone"
            bench.add(what, compare(bench.folder / alone / "model", bench.folder / again / "model"))


def interrupt(words: list[object], checkpoints: Path, steps: int) -> list[str]:
    """Kill it at a third and at two thirds of its steps, then let it end; which signals met it."""
    met = []
    for number, step in ((signal.SIGKILL, steps // 3), (signal.SIGTERM, 2 * steps // 3)):
        process = start(words)
        while process.poll() is None and newest(checkpoints) < step:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(number)
        output, _ = process.communicate()
        if process.returncode not in (0, -signal.SIGKILL, 128 + signal.SIGTERM):
            raise RuntimeError(f"exit status {process.returncode}: {output}")
        met += [number.name] * (process.returncode != 0)
    finish(start(words))
    return met


def newest(checkpoints: Path) -> int:
    """The step of the newest checkpoint; 0 without one."""
    return max((int(path.stem.rpartition("-")[2]) for path in checkpoints.glob("checkpoint-*.safetensors")), default=0)
