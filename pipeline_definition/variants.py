"""Variants: candidates that really differ, in network, learning rate, augmentation or seed. The best is registered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Annotated, Any

from pipeline_definition import limits
from pipeline_definition.limits import Pattern, Problem

# Evaluate has an input for each candidate beside code, test and champion, and a processing job has 10 at most
# (API reference, ProcessingInputs); one is left.
MOST_VARIANTS = 6
RESERVED = frozenset({"code", "test", "champion"})  # the other inputs of Evaluate
LONGEST_NAME = 20
Name = Annotated[
    str,
    Pattern(
        re.compile(rf"(?!(?:{'|'.join(sorted(RESERVED))})$)(?=.{{1,{LONGEST_NAME}}}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"),
        hint=f"use at most {LONGEST_NAME} lower-case letters and digits, in words joined by hyphens, and none of "
        f"{', '.join(sorted(RESERVED))}",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One table [[<environment>.pipeline.variants]]. What is None is as [<environment>.pipeline] has it."""

    name: Name
    """Name of the candidate in logs, reports and the evaluation, in words joined by hyphens."""
    network: str | None = None
    """Network to train."""
    pretrained: str | None = None
    """Folder of pretrained/ with weights to start from."""
    epochs: int | None = None
    """How often training goes through the training images, whatever the parameter Epochs says."""
    batch_size: int | None = None
    """Images in one training step, whatever the parameter BatchSize says."""
    learning_rate: float | None = None
    """Learning rate at its peak, whatever the parameter LearningRate says."""
    crop: float | None = None
    """Smallest share of an image's side that a random crop keeps."""
    flip_probability: float | None = None
    """Probability that a training image is mirrored."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights."""
    seed: int | None = None
    """Seed of training. The split of the images stays that of the pipeline's seed."""

    @property
    def chosen(self) -> dict[str, Any]:
        """What it sets, by the settings' names."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "name"}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def step_name(self) -> str:
        """`small-sgd` trains in TrainSmallSgd."""
        return "Train" + "".join(word.capitalize() for word in self.name.split("-"))


def problems(variants: Sequence[Variant], capacity: str, tuning_jobs: int) -> Iterator[Problem]:
    """What is wrong with the list, and what to do; each variant's own values are checked where they are applied."""
    if not variants:
        return
    if len(variants) > MOST_VARIANTS:
        yield (
            f"there are {len(variants)} variants, and Evaluate has inputs for {MOST_VARIANTS}",
            f"keep the {MOST_VARIANTS} that differ most; each one is a training that is billed",
        )
    if capacity == "both":
        yield (
            "capacity is 'both', and there are variants",
            'set capacity = "spot" or "on-demand" for all of them: "both" trains one model twice to compare the cost',
        )
    if tuning_jobs:
        yield (
            f"tuning_jobs is {tuning_jobs}, and there are variants",
            "leave one of them out: a learning rate that was found for one network is not that of another",
        )
    for variant in variants:
        yield from ((f"a variant's {what}", hint) for what, hint in limits.problems(variant))
    for one, other in combinations(variants, 2):
        if one.step_name == other.step_name:
            yield (
                f"the variants {one.name!r} and {other.name!r} would both be trained by a step {one.step_name}",
                "give each a different name",
            )
        if one.chosen == other.chosen:
            yield (
                f"the variants {one.name!r} and {other.name!r} are the same",
                "let them differ in one of " + ", ".join(item.name for item in fields(Variant) if item.name != "name"),
            )
