"""Two processes that train as one on the one GPU: over NCCL if it allows that, and as train.py does it, over gloo."""

from __future__ import annotations

import json
import socket

import torch

from benchmarks.gpu.data import write_arrays
from benchmarks.gpu.part import Bench
from benchmarks.gpu.weights import SCRIPT, compare, finish, start

NCCL = """
import os, torch, torch.distributed as dist
torch.cuda.set_device(0)
dist.init_process_group("nccl", device_id=torch.device("cuda", 0))
values = torch.ones(1, device="cuda")
dist.all_reduce(values)
assert values.item() == 2
dist.destroy_process_group()
"""
REASON_CHARACTERS = 160


def measure(bench: Bench) -> None:
    if torch.cuda.is_available():
        bench.add("NCCL with two processes on one GPU", try_nccl(bench))
    images, epochs = (128, 2) if bench.small else (4096, 4)
    data = write_arrays(bench.folder / "arrays", images, 32)
    reports = {}
    for name, launcher, more in (("one", (), ["--accumulate", "2"]), ("two", torchrun(), [])):
        out = bench.folder / name
        folders = [
            "--train",
            data / "train",
            "--validation",
            data / "validation",
            "--model-dir",
            out,
            "--output-dir",
            out,
        ]
        options = ["--network", "small-cnn-groupnorm", "--epochs", epochs, "--deterministic", *more]
        finish(start([SCRIPT, *folders, *options], launcher))
        reports[name] = json.loads((out / "report.json").read_text("utf-8"))
    bench.add("they ran as", reports["two"]["device"])
    bench.add("two processes", reports["two"]["median_images_per_second"], "images/s")
    bench.add("one process, in two parts", reports["one"]["median_images_per_second"], "images/s")
    bench.add("weights of both", compare(bench.folder / "one", bench.folder / "two"))


def torchrun() -> tuple[str, ...]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    meeting = ("--master-addr", "127.0.0.1", "--master-port", port)
    return ("-m", "torch.distributed.run", *meeting, "--nproc-per-node", "2")


def try_nccl(bench: Bench) -> str:
    script = bench.folder / "nccl.py"
    script.write_text(NCCL, "utf-8")
    try:
        finish(start([script], torchrun()))
    except RuntimeError as error:
        lines = [line for line in str(error).splitlines() if "Duplicate GPU" in line or "Error: " in line]
        return f"refused: {lines[0].strip()[:REASON_CHARACTERS] if lines else 'it did not say why'}"
    return "works"
