"""Start train.py as a process, and compare the weights that two trainings left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

from benchmarks.gpu.part import ROOT

SCRIPT = ROOT / "training/train.py"
SECONDS = 60.0


def start(words: list[object], launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT / "training"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    return subprocess.Popen(
        [sys.executable, "-B", *launcher, *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its processes with it
        output, _ = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"exit status {process.returncode}: {output}")
    return output


def largest_difference(one: Path, other: Path) -> float:
    """Of any two weights, as a share of the largest weight of its tensor."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    apart = 0.0
    for name, weights in first.items():
        if weights.is_floating_point():
            scale = weights.abs().max().clamp_min(1e-12)
            apart = max(apart, float((weights - second[name]).abs().max() / scale))
    return apart


def compare(one: Path, other: Path) -> str:
    same = (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    return "equal, bit for bit" if same else f"different by {largest_difference(one, other):.1e} of a tensor's largest"
