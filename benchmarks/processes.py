"""python benchmarks/processes.py [--steps 60] [--batch-size 100]

The digits, trained by two processes and by one at the same batch size, in fp32: how far the losses of the steps are
apart. The one process takes the steps once in two parts (`--accumulate 2`), which are the two processes' halves, and
once whole. Halves are summed up in the same order, so that nothing may differ, with BatchNorm neither; a whole batch is
summed up in another order, and AdamW, which divides a gradient by its size, makes much of a rounding error where a
gradient is nearly zero. One thread a process.

Wanted: 1e-4 relative after 50 steps, in two parts.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from image_samples import prepare, write_digits

WANTED_AFTER = 50
# train.py, which also writes the losses of its steps.
RECORDED = """
import json, os, pathlib, sys, train
take_step, losses = train.take_step, []
def record(*words):
    loss = take_step(*words)
    losses.append(loss.item())
    return loss
train.take_step = record
status = train.main(sys.argv[2:])
pathlib.Path(sys.argv[1] + os.environ.get("RANK", "0")).write_text(json.dumps(losses))
sys.exit(status)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        (scratch / "recorded.py").write_text(RECORDED)
        data = prepare(write_digits(scratch / "digits"), scratch / "prepared")
        for network in ("small-cnn-groupnorm", "small-cnn"):
            options = ["--network", network, "--batch-size", str(arguments.batch_size)]
            options += ["--epochs", str(-(-arguments.steps // (1259 // arguments.batch_size)))]
            two = losses(scratch, data, 2, options)
            for way, more in (("two parts", ["--accumulate", "2"]), ("whole", [])):
                one = losses(scratch, data, 1, [*options, *more])
                apart = [abs(a - b) / abs(b) for a, b in zip(two, one, strict=True)]
                after, most = apart[WANTED_AFTER - 1], max(apart[:WANTED_AFTER])
                print(f"{network}, the one process takes its steps {'in ' * (way != 'whole')}{way}: loss {two[49]:.6f} "
                      f"in step {WANTED_AFTER}, relative difference {after:.1e}, {most:.1e} at most until then",
                      flush=True)  # fmt: skip


def losses(scratch: Path, data: Path, processes: int, options: list[str]) -> list[float]:
    """Of every step, the mean over the processes."""
    folders = ["--train", data / "train", "--validation", data / "validation", "--model-dir", scratch / "model"]
    command = [sys.executable, "-B"]
    if processes > 1:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command += ["-m", "torch.distributed.run", "--master-addr", "127.0.0.1", "--master-port", str(port)]
        command += ["--nproc-per-node", str(processes)]
    command += [str(scratch / "recorded.py"), str(scratch / "losses-"), *map(str, folders), *options]
    training = str(Path(__file__).resolve().parents[1] / "training")
    paths = os.pathsep.join((training, str(Path(training).parent)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = [json.loads((scratch / f"losses-{rank}").read_text()) for rank in range(processes)]
    return [sum(part) / processes for part in zip(*parts, strict=True)]


if __name__ == "__main__":
    main()
