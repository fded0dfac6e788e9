"""How the weights move: the optimizer, its rate, one step, and the mean of the weights of the last steps."""

from __future__ import annotations

import contextlib
import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def make_optimizer(model: nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """AdamW as one kernel; weights decay, the biases and the scales of norms do not."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim > 1]
    vectors = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def learning_rate(step: int, steps: int, warmup_share: float) -> float:
    """The share of the highest rate: a line up, then half a cosine down to zero."""
    warmup = max(1, round(steps * warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup + 1) / (steps - warmup + 1))) / 2


def take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    targets: Tensor,
    smoothing: float,
    bf16: bool,
    parts: int = 1,
) -> Tensor:
    """One step on images (n, side, side, 3); the mean loss, left on the device: reading it would make the GPU wait.

    In `parts`, whose gradients add up, it holds no more than a part's activations. Two parts are, to the bit, what two
    processes with a half each do: they halve their gradients and add them.
    """
    optimizer.zero_grad()
    losses = []
    for left, some, theirs in zip(range(parts)[::-1], images.chunk(parts), targets.chunk(parts), strict=True):
        # Processes exchange the gradients with the last part.
        with model.no_sync() if left and isinstance(model, DistributedDataParallel) else contextlib.nullcontext():
            with torch.autocast(images.device.type, torch.bfloat16, enabled=bf16):
                logits = model(some.permute(0, 3, 1, 2))
            loss = F.cross_entropy(logits.float(), theirs, label_smoothing=smoothing) / parts
            loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    optimizer.step()
    return torch.stack(losses).sum()


class Averaged:
    """An exponential mean of the weights, and of the statistics of norms; young at first, so that it forgets the start.

    torch's AveragedModel would read its counter from the GPU at every step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        self.means, self.values = zip(*[pair for pair in pairs if pair[0].is_floating_point()], strict=True)

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.means, self.values, 1 - decay)
