"""Any backbone of timm by its name (`timm:resnet50`), with a linear layer on top. Runs on torch 2.6 and later.

timm is not part of the images: name it, with its version and torchvision's, in requirements.txt. Weights come from the
`pretrained` channel (pretrained.py); nothing is downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

PREFIX = "timm:"


class TimmClassifier(nn.Module):
    """uint8 or float images (n, 3, side, side) with 255 for white to logits, as every network here."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: str, classes: int, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        timm = refuse_unknown(network)
        name = network.removeprefix(PREFIX)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1) * 255, persistent=False)
        known = timm.get_pretrained_cfg(name)
        # Such a network, for example a ViT, has positions for images of one size alone.
        self.fixed_size = bool(known and known.fixed_input_size)
        self.body = timm.create_model(name, num_classes=0, **({"img_size": side} if self.fixed_size else {}))
        self.classify = nn.Linear(self.body.head_hidden_size, classes)

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.body((images - self.mean).div_(self.std))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(images))
        return logits


def refuse_unknown(network: str) -> Any:
    """The package timm, which has that network. Raises ValueError where there is no such network, or no timm."""
    try:
        timm = importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:  # torchvision, which timm needs, may not fit the torch that is there
        raise ValueError(
            f"the network {network} needs timm, which cannot be imported: {error}\n"
            "hint: name timm and torchvision, in versions that fit the image's torch, in training/requirements.in; "
            "then `make lock`"
        ) from error
    name = network.removeprefix(PREFIX)
    if not timm.is_model(name):
        raise ValueError(f"timm {timm.__version__} has no model {name}\nhint: its names: timm.list_models('*net*')")
    return timm


def packages() -> list[str]:
    """What the artifact of such a network needs beside requirements.txt."""
    return [f"timm=={metadata.version('timm')}"]
