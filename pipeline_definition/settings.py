"""What an environment may choose about its pipeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Literal, get_args

from pipeline_definition import limits, variants
from pipeline_definition.limits import Items, Pattern, Problem, Range
from pipeline_definition.variants import Variant

Capacity = Literal["spot", "on-demand", "both"]
CAPACITIES: tuple[Capacity, ...] = get_args(Capacity)
InputMode = Literal["File", "FastFile"]
Approval = Literal["PendingManualApproval", "Approved"]

SHORTEST_SECONDS = 60
LONGEST_PATTERN = 200  # a word of a container's arguments may hold 256 characters

_TYPE_HINT = "an instance type is ml.<family>.<size>, for example ml.m5.xlarge"
INSTANCE_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9]+")
InstanceType = Annotated[str, Pattern(INSTANCE_TYPE, hint=_TYPE_HINT)]
InstanceTypes = Annotated[tuple[InstanceType, ...], Items(1, hint=_TYPE_HINT)]
Count = Annotated[int, Range(1, hint="use a whole number from 1 up")]
Share = Annotated[float, Range(0, 1, hint="it is a share: use 0 to 1, e.g. 0.8 for 80 %")]
Crop = Annotated[float, Range(above=0, at_most=1, hint="use a share of the image's side, above 0; 1 does not crop")]
AboveZero = Annotated[float, Range(above=0, hint="use a number above 0, for example 0.001")]
Seed = Annotated[int, Range(0, hint="use a whole number from 0 up")]
Jobs = Annotated[int, Range(0, hint="use 0 jobs for no tuning")]
Pixels = Annotated[int, Range(8, 1024, hint="use 8 to 1024 pixels")]  # training/preprocess.py takes no others
WarmSeconds = Annotated[int, Range(0, 3600, hint="use 0 to 3600")]  # SageMaker's limit of a warm pool
# A processing job may run for 5 days, a training job for 28.
RunSeconds = Annotated[int, Range(SHORTEST_SECONDS, 432_000, hint=f"use {SHORTEST_SECONDS} to 432000 (5 days)")]
Folder = Annotated[
    str,
    Pattern(
        re.compile(r"|[A-Za-z0-9][A-Za-z0-9._-]*"),
        hint="give NAME for the data bucket's folder pretrained/NAME/, which holds one file; other weights are another "
        "folder",
    ),
]
HeldOut = Annotated[float, Range(above=0, below=1, hint="use a share between 0 and 1, for example 0.15")]


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
    processing_instance_type: InstanceType = "ml.m5.xlarge"
    """Instance type of Preprocess and Evaluate. Parameter ProcessingInstanceType."""
    train_instance_type: InstanceType = "ml.g4dn.xlarge"
    """Instance type of training jobs. Parameter TrainInstanceType."""
    train_instance_count: Count = 1
    """Number of instances of a training job. Parameter TrainInstanceCount."""
    epochs: Count = 20
    """How often training goes through the training images. Parameter Epochs."""
    batch_size: Count = 64
    """Images in one training step on one instance. Parameter BatchSize."""
    learning_rate: AboveZero = 0.001
    """Learning rate at its peak. Parameter LearningRate."""
    image_size: Pixels = 32
    """Height and width in pixels to which images are scaled. Parameter ImageSize."""
    accuracy_threshold: Share = 0.8
    """Accuracy on the test set that a model needs to be registered. Parameter AccuracyThreshold."""
    champion_tolerance: Share = 0.0
    """How far a model's accuracy may be below the champion's on the same images. Parameter ChampionTolerance."""
    macro_f1_threshold: Share = 0.0
    """Mean of the classes' F1 that a model needs; 0 switches it off. Parameter MacroF1Threshold."""
    class_recall_floor: Share = 0.0
    """Recall that a model needs in every class; 0 switches it off. Parameter ClassRecallFloor."""
    model_approval_status: Approval = "PendingManualApproval"
    """Approved deploys every registered model without a person; the pipeline role can register with no other status."""

    network: str = "small-cnn"
    """Network to train: one of NETWORKS in training/model.py, or timm:NAME."""
    pretrained: Folder = ""
    """Name of a folder under pretrained/ of the data bucket, with weights to start from."""
    crop: Crop = 1.0
    """Smallest share of an image's side that a random crop keeps; 1 does not crop."""
    flip_probability: Share = 0.0
    """Probability that a training image is mirrored."""
    ema_decay: Share = 0.0
    """Decay of the moving average of the weights; 0 does not average."""
    checkpoint_seconds: Count = 30
    """Seconds between two checkpoints of a training job."""
    input_mode: InputMode = "File"
    """FastFile has training jobs read files from S3 as they need them, File downloads all first."""
    keep_alive_seconds: WarmSeconds = 0
    """For how many seconds an on-demand instance waits for the next job; it is billed for them."""
    tuning_jobs: Jobs = 0
    """Number of training jobs that search the learning rate first; 0 for no search."""
    tuning_jobs_at_once: Count = 2
    """How many of them run at the same time."""
    seed: Seed = 0
    """Seed of the random split and of training."""
    validation_share: HeldOut = 0.15
    """Share of the images that are held out for validation, unless the data set is split."""
    test_share: HeldOut = 0.15
    """Share of the images that are held out for the test set, unless the data set is split."""
    max_skipped_share: Share = 0.05
    """Share of files that may be unusable before preprocessing fails."""
    group_pattern: str = ""
    """Regular expression for an image's path; images for which its first group is the same text stay in one split."""
    volume_size_gb: Count = 30
    """Size in GB of a job's volume."""
    max_run_seconds: RunSeconds = 6 * 3600
    """Time limit of each job in seconds."""
    spot_wait_seconds: int = 6 * 3600
    """Seconds that a spot job may wait for capacity, in addition to `max_run_seconds`."""
    cache_expires_after_days: Count = 30
    """For how many days a step with the same inputs takes its result from the cache."""
    variants: tuple[Variant, ...] = ()
    """Models to train in place of one, of which the best is registered; of equals, the one listed first."""
    inference_instance_types: InstanceTypes = ("ml.m5.large", "ml.m5.xlarge", "ml.c5.xlarge")
    """Instance types on which a registered model may serve and transform batches; SageMaker takes fewer for batches."""

    def __post_init__(self) -> None:
        problems = [*self._problems(), *variants.problems(self.variants, self.capacity, self.tuning_jobs)]
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

    def _problems(self) -> Iterator[Problem]:
        yield from limits.problems(self)
        taken = _inference_instance_types()
        named = [kind for kind in self.inference_instance_types if INSTANCE_TYPE.fullmatch(kind)]
        if refused := [kind for kind in named if kind not in taken]:
            family = f"{refused[0].rpartition('.')[0]}."
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
        if self.train_instance_count >= 1 and self.batch_size % self.train_instance_count:
            yield (
                f"batch_size is {self.batch_size}, which {self.train_instance_count} instances cannot share equally",
                f"use a multiple of train_instance_count = {self.train_instance_count}, and of all its GPUs",
            )
        if self.keep_alive_seconds and self.capacity == "spot":
            yield (
                "keep_alive_seconds has no effect with capacity 'spot'",
                "leave it out: spot capacity is not kept warm",
            )
        if self.validation_share + self.test_share >= 1:
            total = self.validation_share + self.test_share
            yield f"validation_share + test_share is {total}", "leave something to train on: stay below 1"
        if self.capacity != "on-demand" and self.spot_wait_seconds < SHORTEST_SECONDS:
            yield (
                f"spot_wait_seconds is {self.spot_wait_seconds}, with capacity {self.capacity!r}",
                "a spot job without time to wait ends when it is interrupted: use 3600 or more, or capacity on-demand",
            )
