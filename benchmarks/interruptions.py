"""python benchmarks/interruptions.py [--kills 20] [--epochs 10] [--pairs 3] [--long-epochs 120]

Kills a training of the digits at random moments, by SIGTERM and by SIGKILL, starts it again each time, and compares the
final weights by hash with those of a training that was left alone. What a kill loses are the steps that the next start
takes again, and the one in hand: none after a SIGTERM; after a SIGKILL at most the interval of the checkpoints. It is
counted in steps, and in the time that these had taken.

Then what three interruptions cost a longer training, beside the lost work, in pairs of one that is left alone and one
that is interrupted, by turns. Most of it is that Python and torch start: 2 to 3 s of processor time, for any training.

One thread each, since threads that wait for each other suffer most from whatever else the machine does.

Wanted: equal hashes; lost work within the interval; at most 10 % more time, beside the lost work.
"""

from __future__ import annotations

import argparse
import array
import hashlib
import os
import random
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from image_samples import prepare, write_digits

TRAINING = Path(__file__).resolve().parents[1] / "training"
INTERVAL, LONG_INTERVAL = 0.5, 3.0  # seconds between checkpoints
# train.py, which also writes how long each step took, by wall and by processor time, at once: a SIGKILL loses none.
COUNTED = """
import os, struct, sys, time, train
file, take_step = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), train.take_step
def count(*words):
    wall, processor = time.perf_counter(), time.process_time()
    loss = take_step(*words)
    os.write(file, struct.pack("dd", time.perf_counter() - wall, time.process_time() - processor))
    return loss
train.take_step = count
sys.exit(train.main(sys.argv[2:]))
"""


@dataclass(frozen=True, slots=True)
class Times:
    """Of some steps."""

    steps: int
    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Run:
    digest: str
    seconds: float  # of all starts together
    processor_seconds: float
    step: Times  # the median
    lost: tuple[Times, ...]  # by each kill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--long-epochs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "counted.py").write_text(COUNTED)
        prepare(write_digits(scratch / "digits"), scratch / "prepared")
        alone = run(scratch, "alone", arguments.epochs, INTERVAL, [])
        print(f"left alone: {alone.seconds:.1f} s, weights {alone.digest[:16]}", flush=True)
        # Counted from a start's first step; most of them together are shorter than the training.
        moments = [chance.uniform(0, 0.7 * alone.seconds / arguments.kills) for _ in range(arguments.kills)]
        killed = run(scratch, "killed", arguments.epochs, INTERVAL, moments)
        terms, kills = killed.lost[::2], killed.lost[1::2]
        print(f"killed {len(killed.lost)} times: weights {compared(killed, alone)}; lost after SIGTERM "
              f"{sum(lost.steps for lost in terms)} steps; after SIGKILL "
              f"{statistics.mean(lost.steps for lost in kills):.1f} steps on average, "
              f"{max(lost.steps for lost in kills)} at most, {max(lost.wall for lost in kills):.2f} s at most; a step "
              f"takes {killed.step.wall * 1e3:.1f} ms; a checkpoint every {INTERVAL:g} s", flush=True)  # fmt: skip

        by_wall, by_processor = [], []
        for number in range(arguments.pairs):
            alone = run(scratch, f"alone-{number}", arguments.long_epochs, LONG_INTERVAL, [])
            quarter = arguments.long_epochs * (1259 // 64) * alone.step.wall / 4
            killed = run(scratch, f"killed-{number}", arguments.long_epochs, LONG_INTERVAL, [quarter] * 3)
            lost = sum(lost.wall for lost in killed.lost)
            by_wall.append((killed.seconds - lost) / alone.seconds - 1)
            used = killed.processor_seconds - sum(lost.processor for lost in killed.lost)
            by_processor.append(used / alone.processor_seconds - 1)
            print(f"{len(killed.lost)} interruptions of {alone.seconds:.1f} s: {killed.seconds:.1f} s, of which "
                  f"{lost:.1f} s are {sum(lost.steps for lost in killed.lost)} lost steps; beside them "
                  f"{by_wall[-1]:.1%} more by wall time, {by_processor[-1]:.1%} by processor time; weights "
                  f"{compared(killed, alone)}", flush=True)  # fmt: skip
        if arguments.pairs:
            print(f"median of {arguments.pairs} pairs: {statistics.median(by_wall):.1%} by wall time, "
                  f"{statistics.median(by_processor):.1%} by processor time")  # fmt: skip


def compared(run: Run, other: Run) -> str:
    return f"{run.digest[:16]}, {'equal' if run.digest == other.digest else 'DIFFERENT'}"


def run(scratch: Path, name: str, epochs: int, interval: float, moments: list[float]) -> Run:
    """Start it until it ends; the n-th start is killed so many seconds after it says that it begins to train."""
    out, data, steps_file = scratch / name, scratch / "prepared", scratch / "steps"
    folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", out / "model"]
    checkpoints = ["--checkpoint-dir", out / "checkpoints", "--checkpoint-seconds", interval]
    words = [scratch / "counted.py", steps_file, "--epochs", epochs, *folders, *checkpoints]
    command = [sys.executable, "-B", *map(str, words)]
    paths = os.pathsep.join(map(str, (TRAINING, TRAINING.parent)))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    began, processor = time.monotonic(), processor_time()
    lost: list[Times] = []
    walls: list[float] = []
    processors: list[float] = []
    taken, killed = 0, False  # steps up to the last kill
    for number, moment in enumerate([*moments, None]):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        resumed = 0
        for line in process.stdout:
            if found := re.match(r"resuming after (\d+) epochs and (\d+) steps", line):
                resumed = int(found[1]) * (1259 // 64) + int(found[2])
            if re.match(r"training [\d,]+ weights on", line):
                break
        assert process.poll() is None, "it did not start"
        if killed:
            again = taken - resumed
            in_hand = number % 2 == 0  # after a SIGTERM it is finished
            lost.append(Times(
                again + in_hand,
                sum(walls[len(walls) - again :]) + in_hand * statistics.median(walls),
                sum(processors[len(processors) - again :]) + in_hand * statistics.median(processors),
            ))  # fmt: skip
        killed = moment is not None
        if moment is not None:
            time.sleep(moment)
            killed = process.poll() is None  # else it was faster
            if killed:
                process.send_signal(signal.SIGTERM if number % 2 == 0 else signal.SIGKILL)
        output, _ = process.communicate()
        steps = array.array("d", steps_file.read_bytes())
        walls += steps[::2]
        processors += steps[1::2]
        taken = resumed + len(steps) // 2
        if "report:" in output:
            break
        assert killed, output
    weights = (out / "model/model.safetensors").read_bytes()
    return Run(
        hashlib.sha256(weights).hexdigest(),
        time.monotonic() - began,
        processor_time() - processor,
        Times(1, statistics.median(walls), statistics.median(processors)),
        tuple(lost),
    )


def processor_time() -> float:
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
