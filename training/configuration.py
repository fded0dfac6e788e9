"""All that the weights of a training follow from: a checkpoint is resumed under the very same alone."""

from __future__ import annotations

import argparse
import hashlib

from artifact import CODE
from loading import Source
from pretrained import find_weights

FILES = (
    "train.py",
    "model.py",
    "backbone.py",
    "dataset.py",
    "determinism.py",
    "loading.py",
    "optimizing.py",
    "pretrained.py",
    "sampling.py",
    "images.py",
    "splits.py",
    "probe.py",
)
# Where things lie and how often they are written changes no weight; of the data and the weights, the content counts.
ELSEWHERE = {"train", "validation", "model_dir", "checkpoint_dir", "checkpoint_seconds", "output_dir",
             "ceiling_seconds", "compile", "pretrained"}  # fmt: skip


def describe(arguments: argparse.Namespace, train: Source, validation: Source, processes: int) -> dict[str, str]:
    """By name; digests are the first 16 digits of a SHA-256."""
    options = {name.replace("_", "-"): str(value) for name, value in vars(arguments).items() if name not in ELSEWHERE}
    code = hashlib.sha256(b"".join((CODE / name).read_bytes() for name in FILES)).hexdigest()
    digests = {"train": train.data.digest[:16], "validation": validation.data.digest[:16], "code": code[:16]}
    if arguments.pretrained:
        with find_weights(arguments.pretrained).open("rb") as file:
            digests["pretrained"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return {**options, **digests, "processes": str(processes)}
