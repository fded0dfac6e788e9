"""The processes of one training: torchrun starts them, one a GPU (or, on a CPU, as many as asked for), on every host.

Each sees its part of every batch, and the gradients are averaged, so that the step is that of the whole batch: exactly
so without batch statistics, and with BatchNorm as far as the parts' statistics are those of the batch. The first
process alone writes: checkpoints, model, report, and the lines of the log.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # imported later, by DDP, its defaults would hold the group for ever
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True, slots=True)
class Processes:
    rank: int
    count: int
    device: torch.device
    hosts: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """Of a batch: which images this process sees."""
        each = batch // self.count
        return slice(self.rank * each, (self.rank + 1) * each)

    def wrap(self, model: nn.Module) -> nn.Module:
        if self.count == 1:
            return model
        # The statistics of norms stay each process's own; the first one's are kept.
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(
            model, device_ids=devices, forward_sync_buffers=False, gradient_as_bucket_view=True
        )

    def total(self, values: Tensor) -> Tensor:
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def from_first(self, value: Any) -> Any:
        """What the first process gives, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def say(self, text: str) -> None:
        if self.first:
            print(text, flush=True)

    def end(self) -> None:
        """Leave the others; called when nothing of the training is in use any more.

        With the last reference to the group its threads end. One that is still busy with its last tensor when Python
        itself ends would abort the process, and a training that is done would count as failed.
        """
        if self.count > 1:
            gc.collect()  # DDP's references to the group are in cycles
            dist.destroy_process_group()


def join_processes() -> Processes:
    """Of torchrun's variables; without them there is one process."""
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if count > 1:
        dist.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
    return Processes(rank, count, device, int(os.environ.get("GROUP_WORLD_SIZE", "1")))
