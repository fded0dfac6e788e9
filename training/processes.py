"""The processes of one training: torchrun starts them, one a GPU (or, on a CPU, as many as asked for), on every host.

Each sees its part of every batch, and the gradients are averaged, so that the step is that of the whole batch: exactly
so without batch statistics, and with BatchNorm as far as the parts' statistics are those of the batch. The first
process alone writes: checkpoints, model, report, and the lines of the log.
"""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn.functional  # imported later, by DDP, its defaults would hold the group forever
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from errors import DataSetError
from gpus import require_cuda


@dataclass(frozen=True, slots=True)
class Processes:
    rank: int
    count: int
    device: torch.device
    hosts: int = 1
    shares_gpu: bool = False  # with another process of this host

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

    def give_statistics(self, model: nn.Module) -> None:
        """Those of norms, from the first process, whose model is kept, to all others."""
        if self.count > 1:
            for statistics in model.buffers():
                dist.broadcast(statistics, src=0)

    def refuse_different(self, configuration: dict[str, str]) -> None:
        """Raises DataSetError when the processes were not given the same data, code or options."""
        if self.count == 1:
            return
        theirs: list[Any] = [None] * self.count
        dist.all_gather_object(theirs, configuration)
        for rank, other in enumerate(theirs):
            different = sorted(name for name, value in configuration.items() if other.get(name) != value)
            if different:
                raise DataSetError(
                    f"processes {self.rank} and {rank} of one training differ in: {', '.join(different)}",
                    hint="give every instance all of the data (FullyReplicated, not ShardedByS3Key) and the same code",
                )

    def total(self, values: Tensor) -> Tensor:
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def describe(self) -> str:
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
            return (
                f"{self.count} processes that share {name}, over gloo" if self.shares_gpu else f"{self.count} x {name}"
            )
        threads = f"{torch.get_num_threads()} CPU threads"
        return f"{threads} in each of {self.count} processes" if self.count > 1 else threads

    def from_first(self, value: Any) -> Any:
        """What the first process gives, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=self.device)
        return box[0]

    def wait(self) -> None:
        """For all the others to come here too."""
        if self.count > 1:
            dist.barrier()

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


class Interruption:
    """Whether to stop, since a SIGTERM has come: to any of the processes, and for all of them at the same step.

    About once a second the processes agree on it, which waits for their devices. `signals` are those of this one.
    """

    def __init__(self, processes: Processes, signals: list[int]) -> None:
        self.processes, self.signals = processes, signals
        self.steps, self.between, self.since = 0, 1, time.monotonic()

    def has_come(self) -> bool:
        """Called before each step."""
        if self.processes.count == 1:
            return bool(self.signals)
        self.steps += 1
        if self.steps < self.between:
            return False
        steps_a_second = self.steps / max(time.monotonic() - self.since, 1e-3)
        said = [float(bool(self.signals)), steps_a_second if self.processes.first else 0.0]
        stop, steps = self.processes.total(torch.tensor(said, device=self.processes.device)).tolist()
        self.between = max(1, min(round(steps), 2 * self.between))
        self.steps, self.since = 0, time.monotonic()
        return bool(stop)


def join_processes() -> Processes:
    """Of torchrun's variables; without them there is one process. Raises GpuError.

    Processes that are more than the GPUs of their host share these. NCCL refuses that, so they speak over gloo.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local_rank, here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    require_cuda(cuda, os.environ)
    gpus = torch.cuda.device_count() if cuda else 0
    device = torch.device("cuda", local_rank % gpus) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    nccl = 0 < here <= gpus
    if count > 1:
        dist.init_process_group("nccl" if nccl else "gloo", device_id=device if nccl else None)
    return Processes(
        rank, count, device, int(os.environ.get("GROUP_WORLD_SIZE", "1")), shares_gpu=gpus > 0 and not nccl
    )
