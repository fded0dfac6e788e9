"""What an environment may choose about its pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, get_args

from pipeline_definition import variants
from pipeline_definition.variants import Variant

Capacity = Literal["spot", "on-demand", "both"]
CAPACITIES: tuple[Capacity, ...] = get_args(Capacity)
InputMode = Literal["File", "FastFile"]
INPUT_MODES: tuple[str, ...] = get_args(InputMode)
Approval = Literal["PendingManualApproval", "Approved"]
APPROVALS: tuple[str, ...] = get_args(Approval)

SMALLEST_SIDE, LARGEST_SIDE = 8, 1024  # pixels of an image; training/preprocess.py takes no others
SHORTEST_SECONDS = 60
LONGEST_SECONDS = 5 * 24 * 3600  # a processing job may run for 5 days, a training job for 28

MOST_WARM_SECONDS = 3600  # SageMaker's limit of a warm pool
LONGEST_PATTERN = 200  # a word of a container's arguments may hold 256 characters
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")


@cache
def _inference_instance_types() -> list[str]:
    """The instance types for which SageMaker registers a model: botocore's model has those of batches and endpoints.

    A definition with another one is refused. About half of the endpoints' types run no batch transforms.
    """
    from botocore.loaders import Loader  # 0.2 s, which the command line does without

    shapes = Loader().load_service_model("sagemaker", "service-2")["shapes"]
    on_endpoints = shapes["ProductionVariantInstanceType"]["enum"]
    return [kind for kind in shapes["TransformInstanceType"]["enum"] if kind in on_endpoints]


class PipelineSettingsError(ValueError):
    """A setting of the pipeline is wrong: `what` it is, and a `hint` that says what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\nhint: {hint}")
        self.what = what
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Defaults of the pipeline's parameters, and what is fixed in its steps.

    The text below a setting says what it means; docs/settings.md is written from it.
    """

    capacity: Capacity = "both"
    """Whether models are trained on spot capacity, on demand, or on both, where the better one wins."""
    processing_instance_type: str = "ml.m5.xlarge"
    """Instance type of Preprocess and Evaluate. Parameter ProcessingInstanceType."""
    train_instance_type: str = "ml.g4dn.xlarge"
    """Instance type of training jobs. Parameter TrainInstanceType."""
    train_instance_count: int = 1
    """Number of instances of a training job. Parameter TrainInstanceCount."""
    epochs: int = 20
    """How often training goes through the training images. Parameter Epochs."""
    batch_size: int = 64
    """Images in one training step on one instance. Parameter BatchSize."""
    learning_rate: float = 0.001
    """Learning rate at its peak. Parameter LearningRate."""
    image_size: int = 32
    """Height and width in pixels to which images are scaled. Parameter ImageSize."""
    accuracy_threshold: float = 0.8
    """Accuracy on the test set that a model needs to be registered. Parameter AccuracyThreshold."""
    champion_tolerance: float = 0.0
    """How far a model's accuracy may be below the champion's on the same images. Parameter ChampionTolerance."""
    macro_f1_threshold: float = 0.0
    """Mean of the classes' F1 that a model needs; 0 switches it off. Parameter MacroF1Threshold."""
    class_recall_floor: float = 0.0
    """Recall that a model needs in every class; 0 switches it off. Parameter ClassRecallFloor."""
    model_approval_status: Approval = "PendingManualApproval"
    """Approved deploys every registered model without a person; the pipeline role can register with no other status."""

    network: str = "small-cnn"
    """Network to train: one of NETWORKS in training/model.py, or timm:NAME."""
    pretrained: str = ""
    """Name of a folder under pretrained/ of the data bucket, with weights to start from."""
    crop: float = 1.0
    """Smallest share of an image's side that a random crop keeps; 1 does not crop."""
    flip_probability: float = 0.0
    """Probability that a training image is mirrored."""
    ema_decay: float = 0.0
    """Decay of the moving average of the weights; 0 does not average."""
    checkpoint_seconds: int = 30
    """Seconds between two checkpoints of a training job."""
    input_mode: InputMode = "File"
    """FastFile has training jobs read files from S3 as they need them, File downloads all first."""
    keep_alive_seconds: int = 0
    """For how many seconds an on-demand instance waits for the next job; it is billed for them."""
    tuning_jobs: int = 0
    """Number of training jobs that search the learning rate first; 0 for no search."""
    tuning_jobs_at_once: int = 2
    """How many of them run at the same time."""
    seed: int = 0
    """Seed of the random split and of training."""
    validation_share: float = 0.15
    """Share of the images that are held out for validation, unless the data set is split."""
    test_share: float = 0.15
    """Share of the images that are held out for the test set, unless the data set is split."""
    max_skipped_share: float = 0.05
    """Share of files that may be unusable before preprocessing fails."""
    group_pattern: str = ""
    """Regular expression for an image's path; images for which its first group is the same text stay in one split."""
    volume_size_gb: int = 30
    """Size in GB of a job's volume."""
    max_run_seconds: int = 6 * 3600
    """Time limit of each job in seconds."""
    spot_wait_seconds: int = 6 * 3600
    """Seconds that a spot job may wait for capacity, in addition to `max_run_seconds`."""
    cache_expires_after_days: int = 30
    """For how many days a step with the same inputs takes its result from the cache."""
    variants: tuple[Variant, ...] = ()
    """Models to train in place of one, of which the best is registered; of equals, the one listed first."""
    inference_instance_types: tuple[str, ...] = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge")
    """Instance types on which a registered model may serve and transform batches; SageMaker takes fewer for batches."""

    def __post_init__(self) -> None:
        in_variants = variants.problems(self.variants, self.capacity, self.tuning_jobs)
        problems = [*self._wrong_choices(), *self._wrong_numbers(), *in_variants]
        if problems:  # all at once: each would cost another deployment
            hints = dict.fromkeys(hint for _, hint in problems)
            raise PipelineSettingsError("; ".join(what for what, _ in problems), "; ".join(hints))
        for variant in self.variants:
            try:
                self.of(variant)
            except PipelineSettingsError as error:
                raise PipelineSettingsError(f"in the variant {variant.name!r}, {error.what}", error.hint) from error

    def of(self, variant: Variant | None) -> PipelineSettings:
        """The settings with which a variant is trained."""
        return replace(self, variants=(), **variant.chosen) if variant else self

    @property
    def trained(self) -> list[PipelineSettings]:
        """The settings of each model that a run trains; once where it is trained on two kinds of capacity."""
        return [self.of(variant) for variant in self.variants or (None,)]

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
        for name in ("processing_instance_type", "train_instance_type"):
            if not _INSTANCE_TYPE.fullmatch(getattr(self, name)):
                yield (
                    f"{name} is {getattr(self, name)!r}",
                    "an instance type is ml.<family>.<size>, for example ml.m5.xlarge",
                )
        if not self.inference_instance_types:
            yield "inference_instance_types is ()", "name at least one, for example ml.m5.large"
        taken = _inference_instance_types()
        if refused := [kind for kind in self.inference_instance_types if kind not in taken]:
            family = f"ml.{refused[0].removeprefix('ml.').partition('.')[0]}."
            alike = [kind for kind in taken if kind.startswith(family)] or ["ml.m5.large"]
            yield (
                f"inference_instance_types holds {', '.join(refused)}, which SageMaker does not take for endpoints and "
                "batch transforms alike",
                f"use others, for example {', '.join(alike)}",
            )
        try:
            re.compile(self.group_pattern)
        except re.error as error:
            yield (
                f"group_pattern is {self.group_pattern!r}, which is not a regular expression: {error}",
                r"write one as in Python, e.g. '(patient\d+)_', in single quotes",
            )
        if len(self.group_pattern) > LONGEST_PATTERN:
            yield f"group_pattern has {len(self.group_pattern)} characters", f"use at most {LONGEST_PATTERN}"

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
        if self.image_size >= 1 and not SMALLEST_SIDE <= self.image_size <= LARGEST_SIDE:
            yield f"image_size is {self.image_size}", f"use {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
        if self.train_instance_count >= 1 and self.batch_size % self.train_instance_count:
            yield (
                f"batch_size is {self.batch_size}, which {self.train_instance_count} instances cannot share equally",
                f"use a multiple of train_instance_count = {self.train_instance_count}, and of all its GPUs",
            )
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
            yield f"learning_rate is {self.learning_rate}", "use a number above 0, for example 0.001"
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
                yield f"{name} is {getattr(self, name)}", "use a share between 0 and 1, for example 0.15"
        if self.validation_share + self.test_share >= 1:
            total = self.validation_share + self.test_share
            yield f"validation_share + test_share is {total}", "leave something to train on: stay below 1"
        if not SHORTEST_SECONDS <= self.max_run_seconds <= LONGEST_SECONDS:
            yield f"max_run_seconds is {self.max_run_seconds}", f"use {SHORTEST_SECONDS} to {LONGEST_SECONDS} (5 days)"
        if self.capacity != "on-demand" and self.spot_wait_seconds < SHORTEST_SECONDS:
            yield (
                f"spot_wait_seconds is {self.spot_wait_seconds}, with capacity {self.capacity!r}",
                "a spot job without time to wait ends when it is interrupted: use 3600 or more, or capacity on-demand",
            )
