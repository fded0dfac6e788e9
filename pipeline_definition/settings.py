"""What an environment may choose about its pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

Capacity = Literal["spot", "on-demand", "both"]
CAPACITIES: tuple[Capacity, ...] = get_args(Capacity)
InputMode = Literal["File", "FastFile"]
INPUT_MODES: tuple[str, ...] = get_args(InputMode)
Approval = Literal["PendingManualApproval", "Approved"]
APPROVALS: tuple[str, ...] = get_args(Approval)

SHORTEST_SECONDS = 60
LONGEST_SECONDS = 5 * 24 * 3600  # a processing job may run for 5 days, a training job for 28

MOST_WARM_SECONDS = 3600  # SageMaker's limit of a warm pool
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")


class PipelineSettingsError(ValueError):
    """A setting of the pipeline is wrong: `what` it is, and a `hint` that says what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\nhint: {hint}")
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Defaults of the pipeline's parameters, and what is fixed in its steps.

    `spot_wait_seconds` is how long a spot job may wait for capacity in addition to `max_run_seconds` of work: SageMaker
    stops the job when the sum has passed. Shares are fractions of the images. A registered model may be served
    and may transform batches on `inference_instance_types`; SageMaker takes fewer types for batches than for endpoints.

    A model is registered when its accuracy on the test images reaches `accuracy_threshold` and is at most
    `champion_tolerance` below the champion's on the same images. `macro_f1_threshold` is the least mean of the classes'
    F1, `class_recall_floor` the least recall of every class; 0 switches them off.

    `network`, `crop`, `flip_probability`, `ema_decay` and `checkpoint_seconds` are flags of train.py. Training starts
    from the weights in the data bucket's pretrained/<`pretrained`>/. With `input_mode` FastFile a job reads its files
    from S3 as it needs them. An on-demand instance waits `keep_alive_seconds` for the next job. More than 0
    `tuning_jobs` search the learning rate first.
    """

    capacity: Capacity = "both"
    processing_instance_type: str = "ml.m5.xlarge"
    train_instance_type: str = "ml.g4dn.xlarge"
    train_instance_count: int = 1
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.001
    image_size: int = 32
    accuracy_threshold: float = 0.8
    champion_tolerance: float = 0.0
    macro_f1_threshold: float = 0.0
    class_recall_floor: float = 0.0
    model_approval_status: Approval = "PendingManualApproval"

    network: str = "small-cnn"
    pretrained: str = ""
    crop: float = 1.0
    flip_probability: float = 0.0
    ema_decay: float = 0.0
    checkpoint_seconds: int = 30
    input_mode: InputMode = "File"
    keep_alive_seconds: int = 0
    tuning_jobs: int = 0
    tuning_jobs_at_once: int = 2
    seed: int = 0
    validation_share: float = 0.15
    test_share: float = 0.15
    max_skipped_share: float = 0.05
    volume_size_gb: int = 30
    max_run_seconds: int = 6 * 3600
    spot_wait_seconds: int = 6 * 3600
    cache_expires_after_days: int = 30
    inference_instance_types: tuple[str, ...] = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge")

    def __post_init__(self) -> None:
        for what, hint in (*self._wrong_choices(), *self._wrong_numbers()):
            raise PipelineSettingsError(what, hint)

    def _wrong_choices(self) -> Iterator[tuple[str, str]]:
        if self.capacity not in CAPACITIES:
            yield f"capacity is {self.capacity!r}", f"use one of {', '.join(CAPACITIES)}"
        if self.model_approval_status not in APPROVALS:
            yield (
                f"model_approval_status is {self.model_approval_status!r}",
                "use PendingManualApproval (a person decides) or Approved (every registered model is deployed)",
            )
        if self.input_mode not in INPUT_MODES:
            yield f"input_mode is {self.input_mode!r}", f"use one of {', '.join(INPUT_MODES)}"
        if self.pretrained and not _FOLDER.fullmatch(self.pretrained):
            yield (
                f"pretrained is {self.pretrained!r}",
                "give NAME for the data bucket's folder pretrained/NAME/, which holds one file; other weights are "
                "another folder",
            )
        for name in ("processing_instance_type", "train_instance_type", "inference_instance_types"):
            value = getattr(self, name)
            types = (value,) if isinstance(value, str) else value
            if not types or not all(map(_INSTANCE_TYPE.fullmatch, types)):
                yield f"{name} is {value!r}", "SageMaker's instance types read ml.<family>.<size>, say ml.m5.xlarge"

    def _wrong_numbers(self) -> Iterator[tuple[str, str]]:
        for name in (
            "train_instance_count",
            "epochs",
            "batch_size",
            "image_size",
            "volume_size_gb",
            "cache_expires_after_days",
            "checkpoint_seconds",
        ):
            if getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}", "use a whole number from 1 up"
        if not 0 < self.crop <= 1:
            yield f"crop is {self.crop}", "it is a share of the image's side: above 0, and 1 for the whole image"
        for name in ("flip_probability", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name} is {getattr(self, name)}", "use a share from 0 to 1"
        if not 0 <= self.keep_alive_seconds <= MOST_WARM_SECONDS:
            yield f"keep_alive_seconds is {self.keep_alive_seconds}", f"use 0 to {MOST_WARM_SECONDS}"
        if self.keep_alive_seconds and self.capacity == "spot":
            yield (
                "keep_alive_seconds has no effect with capacity 'spot'",
                "leave it out: spot capacity is not kept warm",
            )
        if self.tuning_jobs < 0 or self.tuning_jobs_at_once < 1:
            yield "tuning_jobs or tuning_jobs_at_once is too small", "use 0 jobs for no tuning, and at least 1 at once"
        if self.seed < 0:
            yield f"seed is {self.seed}", "use a whole number from 0 up"
        if self.learning_rate <= 0:
            yield f"learning_rate is {self.learning_rate}", "use a number above 0, say 0.001"
        for name in (
            "accuracy_threshold",
            "champion_tolerance",
            "macro_f1_threshold",
            "class_recall_floor",
            "max_skipped_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name} is {getattr(self, name)}", "it is a share: use 0 to 1, e.g. 0.8 for 80 %"
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                yield f"{name} is {getattr(self, name)}", "use a share between 0 and 1, say 0.15"
        if self.validation_share + self.test_share >= 1:
            total = self.validation_share + self.test_share
            yield f"validation_share + test_share is {total}", "leave something to train on: stay below 1"
        if not SHORTEST_SECONDS <= self.max_run_seconds <= LONGEST_SECONDS:
            yield f"max_run_seconds is {self.max_run_seconds}", f"use {SHORTEST_SECONDS} to {LONGEST_SECONDS} (5 days)"
        if self.capacity != "on-demand" and self.spot_wait_seconds < SHORTEST_SECONDS:
            yield (
                f"spot_wait_seconds is {self.spot_wait_seconds}, with capacity {self.capacity!r}",
                "a spot job without time to wait ends when it is interrupted: use 3600, say, or capacity on-demand",
            )
