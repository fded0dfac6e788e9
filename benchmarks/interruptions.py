"""python benchmarks/interruptions.py [--kills 20] [--epochs 10]

Kills a training of the digits at random moments, by SIGTERM and by SIGKILL, starts it again each time, and compares the
final weights by hash with those of a training that was left alone. Each kill's lost work is what the next start has to
do again: after a SIGTERM nothing, after a SIGKILL at most the checkpoint interval. Then the same with three
interruptions of a longer training: what they cost in all, beside the lost work.

One thread each, since threads that wait for each other suffer most from whatever else the machine does.

Wanted: equal hashes; lost work within the interval; at most 10 % more time, beside the lost work.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from image_samples import prepare, write_digits

ROOT = Path(__file__).resolve().parents[1]
INTERVAL = 0.5  # seconds between checkpoints


@dataclass(frozen=True, slots=True)
class Run:
    digest: str
    seconds: float  # of all starts together
    lost: tuple[float, ...]  # seconds of training that each kill cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = prepare(write_digits(scratch / "digits"), scratch / "prepared")
        alone = run(data, scratch / "alone", arguments.epochs, [])
        print(f"left alone: {alone.seconds:.1f} s, weights {alone.digest[:16]}")
        # Counted from a start's first step; most of them together are shorter than the training.
        moments = [chance.uniform(0, 0.7 * alone.seconds / arguments.kills) for _ in range(arguments.kills)]
        killed = run(data, scratch / "killed", arguments.epochs, moments)
        print(f"killed {len(killed.lost)} times: weights {compared(killed, alone)}; lost work "
              f"{statistics.mean(killed.lost):.2f} s on average, {max(killed.lost):.2f} s at most, with a checkpoint "
              f"every {INTERVAL:g} s")  # fmt: skip

        epochs = 5 * arguments.epochs
        alone = run(data, scratch / "alone-longer", epochs, [])
        killed = run(data, scratch / "killed-longer", epochs, [alone.seconds / 4] * 3)
        more = killed.seconds - alone.seconds
        print(f"three interruptions of {alone.seconds:.1f} s: {more:.1f} s more ({more / alone.seconds:.1%}), of which "
              f"{sum(killed.lost):.1f} s were lost work; weights {compared(killed, alone)}")  # fmt: skip


def compared(run: Run, other: Run) -> str:
    return f"{run.digest[:16]}, {'equal' if run.digest == other.digest else 'DIFFERENT'}"


def run(data: Path, out: Path, epochs: int, moments: list[float]) -> Run:
    """Start it until it ends; the n-th start is killed so many seconds after its first step."""
    folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", out / "model"]
    checkpoints = ["--checkpoint-dir", out / "checkpoints", "--checkpoint-seconds", INTERVAL]
    words = [ROOT / "training/train.py", "--epochs", epochs, *folders, *checkpoints]
    command = [sys.executable, "-B", *map(str, words)]
    began, lost = time.monotonic(), []
    for number, moment in enumerate([*moments, None]):
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("training ") or " weights on " not in line:
            assert process.poll() is None, "it did not start"
        if moment is None:
            output, _ = process.communicate()
            assert process.returncode == 0, output
            break
        time.sleep(moment)
        if process.poll() is not None:  # it was faster
            break
        newest = max(
            (path.stat().st_mtime for path in (out / "checkpoints").glob("*.pt")), default=time.time() - moment
        )
        by_term = number % 2 == 0
        lost.append(0.0 if by_term else max(0.0, time.time() - newest))
        process.send_signal(signal.SIGTERM if by_term else signal.SIGKILL)
        output, _ = process.communicate()
        assert not by_term or re.search("interrupted after|report:", output), output
    weights = (out / "model/model.pt").read_bytes()
    return Run(hashlib.sha256(weights).hexdigest(), time.monotonic() - began, tuple(lost))


def newest_checkpoint(out: Path) -> str:
    return max((path.name for path in (out / "checkpoints").glob("*.pt")), default="")


if __name__ == "__main__":
    main()
