"""The step of train.py in fp32 and bf16, with the channels first and last: speed and memory."""

from __future__ import annotations

import torch

from benchmarks.gpu.part import Bench
from benchmarks.gpu.steps import Steps

# TF32 rounds the factors of fp32 convolutions to 10 bits of mantissa; torch has it on for convolutions by default.
WAYS = (
    ("fp32 without TF32, contiguous", False, False, False),
    ("fp32 with TF32, contiguous", False, True, False),
    ("fp32 with TF32, channels last", False, True, True),
    ("bf16, contiguous", True, True, False),
    ("bf16, channels last (train.py's way)", True, True, True),
)


def measure(bench: Bench) -> None:
    torch.backends.cudnn.benchmark = True
    cuda = torch.cuda.is_available()
    rates = {}
    for name, bf16, tf32, channels_last in WAYS:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        steps = Steps(bench, bf16=bf16, channels_last=channels_last)
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        steps.take(1 if bench.small else 5)
        rates[name] = steps.batch / steps.median(0.1 if bench.small else 4)
        bench.add(f"{name}, batch {steps.batch} of {steps.side} pixels", rates[name], "images/s")
        if cuda:
            bench.add(f"{name}, most memory", torch.cuda.max_memory_allocated() / 2**30, "GiB")
        del steps
        if cuda:
            torch.cuda.empty_cache()
    first, last = rates[WAYS[0][0]], rates[WAYS[-1][0]]
    bench.add("bf16, channels last, to fp32 without TF32, contiguous", last / first, "times")
