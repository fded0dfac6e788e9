"""What a training cost and reached: kept while it runs, carried by the checkpoints, written as report.json."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optimizing import take_step

OF_THIS_START = ("tier", "device", "instances")


@dataclass(slots=True)
class Report:
    """Seconds are of wall time, over all interruptions; an epoch's are added when it is over, so that of one that was
    interrupted only the steps since count."""

    tier: str
    device: str
    instances: int
    train_images: int
    batch_size: int
    steps: int
    starts: int = 0  # 1, and one more for each interruption
    step_seconds: float = 0.0  # all steps, waiting for data included
    data_wait_seconds: float = 0.0
    validation_seconds: float = 0.0
    checkpoint_seconds: float = 0.0  # for which the training stood still
    images_per_second: list[float] = field(default_factory=list)  # of each epoch that had steps in this start
    sides: list[int] = field(default_factory=list)  # pixels of a side, in each of those epochs
    accuracies: list[float] = field(default_factory=list)  # on the validation images, after each epoch
    best_accuracy: float = 0.0
    seconds_to_best: float = 0.0
    ceiling_images_per_second: float | None = None  # the same steps on one batch that lies on the device
    share_of_ceiling: float | None = None
    peak_memory_bytes: int = 0
    earlier_seconds: float = 0.0  # that the starts before this one ran, each up to its last checkpoint
    began: float = field(default_factory=time.monotonic)

    def epoch_over(self, images: int, seconds: float, side: int, accuracy: float) -> None:
        """`images` is 0 when the epoch's last step was done before an interruption."""
        if images:
            self.images_per_second.append(images / seconds)
            self.sides.append(side)
        self.accuracies.append(accuracy)
        if accuracy > self.best_accuracy:
            self.best_accuracy = accuracy
            self.seconds_to_best = self.seconds

    @property
    def seconds(self) -> float:
        return self.step_seconds + self.validation_seconds + self.checkpoint_seconds

    @property
    def billable_seconds(self) -> float:
        """As far as a job can know them: the seconds that it has run, on every instance.

        SageMaker adds the start of the container, the download and the upload, and lowers the sum by spot's discount:
        BillableTimeInSeconds of DescribeTrainingJob, times InstanceCount, is what is paid.
        """
        return (self.earlier_seconds + time.monotonic() - self.began) * self.instances

    def speed(self) -> float:
        """Images a second at the largest size, the median of the epochs; without the first, which warms up."""
        sides = list(zip(self.sides, self.images_per_second, strict=True))
        largest = [rate for side, rate in sides if side == max(self.sides)]
        rates = sorted(largest[1:] or largest or [0.0])
        return rates[len(rates) // 2]

    def add_ceiling(self, images_per_second: float) -> None:
        self.ceiling_images_per_second = images_per_second
        self.share_of_ceiling = self.speed() / images_per_second

    def line(self) -> str:
        wait = self.data_wait_seconds / max(self.step_seconds, 1e-9)
        text = (
            f"report: {self.seconds:.1f} s ({self.step_seconds:.1f} s steps, {wait:.1%} of it waiting for data, "
            f"{self.validation_seconds:.1f} s validation, {self.checkpoint_seconds:.1f} s checkpoints), "
            f"{self.starts} starts, {self.speed():.0f} images/s, best accuracy {self.best_accuracy:.4f} "
            f"after {self.seconds_to_best:.1f} s, peak memory {self.peak_memory_bytes / 1e6:.0f} MB, "
            f"{self.billable_seconds:.0f} billable seconds ({self.instances} instances, as far as a job can know)"
        )
        if self.share_of_ceiling is not None:
            text += f", {self.share_of_ceiling:.1%} of the {self.ceiling_images_per_second:.0f} images/s without data"
        return text

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            **self.state(),
            "seconds": self.seconds,
            "billable_seconds": self.billable_seconds,
            "median_images_per_second": self.speed(),
        }
        del facts["earlier_seconds"]
        (folder / "report.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")

    def state(self) -> dict[str, Any]:
        state = asdict(self) | {"earlier_seconds": self.billable_seconds / self.instances}
        del state["began"]
        return state

    def restore(self, state: dict[str, Any]) -> None:
        for name in state.keys() - OF_THIS_START:
            setattr(self, name, state[name])


def measure_ceiling(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor, smoothing: float, bf16: bool,
    parts: int, seconds: float,
) -> float:  # fmt: skip
    """Images a second on one batch, over and over: what no data path can exceed. Model and optimizer are spoiled."""
    model.train()
    for _ in range(3):
        take_step(model, optimizer, images, targets, smoothing, bf16, parts)
    wait_for(images.device)
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(5):
            take_step(model, optimizer, images, targets, smoothing, bf16, parts)
        wait_for(images.device)
        steps += 5
    return steps * len(images) / (time.perf_counter() - started)


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory() -> int:
    """Bytes: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
