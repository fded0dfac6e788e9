"""Training steps of the ResNet, timed: what precision.py and compiled.py have in common."""

from __future__ import annotations

import time

import torch
from torch import Tensor, nn

from benchmarks.gpu.part import Bench
from benchmarks.gpu.resnet import FULL, SMALL, configure, register
from model import build
from optimizing import make_optimizer, take_step
from reporting import wait_for

SMOOTHING = 0.1


class Steps:
    """The network on the GPU, or on the CPU, with one batch of random images."""

    def __init__(self, bench: Bench, *, bf16: bool, channels_last: bool = True) -> None:
        register()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.batch, self.side = (4, 32) if bench.small else (256, 224)
        self.together = 1 if bench.small else 5  # steps that are timed as one
        self.bf16 = bf16
        network = build(configure(SMALL if bench.small else FULL, self.side)).train()
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model: nn.Module = network.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.model, 1e-4, 0.05)
        shape = (self.batch, self.side, self.side, 3) if channels_last else (self.batch, 3, self.side, self.side)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, device=self.device)
        # take_step turns the channels to the front; of these, they then lie there in memory as well.
        self.images: Tensor = images if channels_last else images.permute(0, 2, 3, 1)
        self.targets = torch.randint(0, 1000, (self.batch,), device=self.device)

    def take(self, count: int) -> float:
        """Seconds of `count` steps together, until the device is done with them."""
        wait_for(self.device)
        began = time.perf_counter()
        for _ in range(count):
            take_step(self.model, self.optimizer, self.images, self.targets, SMOOTHING, self.bf16)
        wait_for(self.device)
        return time.perf_counter() - began

    def median(self, seconds: float) -> float:
        """Seconds of a step, the median of groups of steps, for so long."""
        groups: list[float] = []
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends or not groups:
            groups.append(self.take(self.together) / self.together)
        return sorted(groups)[len(groups) // 2]
