"""How good the weights are on images that they were not trained on, as the training goes on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from loading import Source
from processes import Processes

TOGETHER = 512
BYTES = 32 * 2**20  # of images at a time, where fewer than TOGETHER take that


@torch.inference_mode()
def validate(model: nn.Module, source: Source, processes: Processes) -> tuple[float, float]:
    """Mean cross-entropy and accuracy, in fp32 as when serving; each process takes its share of the batches."""
    model.eval()
    processes.give_statistics(model)
    device, side = source.labels.device, source.data.image_size
    sums = torch.zeros(2, device=device)
    together = max(1, min(TOGETHER, BYTES // (side * side * 3)))
    starts = range(0, len(source), together)
    for start in starts[processes.rank :: processes.count]:
        rows = torch.arange(start, min(start + together, len(source)))
        images, places = source.images.fetch(rows, device)
        targets = source.labels[rows.to(device)]
        # `forward` is never compiled: torch.compile would do so for each shape, and the last batch is smaller.
        logits = model.forward(images[places.to(device)].permute(0, 3, 1, 2))
        sums[0] += F.cross_entropy(logits, targets, reduction="sum")
        sums[1] += (logits.argmax(1) == targets).sum()
    loss, correct = (processes.total(sums) / len(source)).tolist()
    return loss, correct
