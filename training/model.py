"""The network, and the small JSON document that it is rebuilt from. Runs on torch 2.6 and later, with backbone.py.

Replace SmallCNN by your own: take images (n, 3, size, size), uint8 or float with 255 for white, return logits
(n, classes), and list it in NETWORKS.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import backbone


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What model.json says about a network; its weights lie beside it in model.safetensors."""

    network: str
    classes: tuple[str, ...]
    image_size: int
    mean: tuple[float, ...]  # of each channel of the training images, where 1 is white
    std: tuple[float, ...]

    def to_json(self, **facts: Any) -> str:
        return json.dumps({**asdict(self), **facts}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Raises ValueError for a document that describes no known network."""
        try:
            document = json.loads(text)
            config = cls(
                network=document["network"],
                classes=tuple(document["classes"]),
                image_size=int(document["image_size"]),
                mean=tuple(document["mean"]),
                std=tuple(document["std"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"model.json describes no model: {type(error).__name__}: {error}") from error
        if not is_known(config.network):
            raise ValueError(f"model.json names the network {config.network!r}; known are {', '.join(NETWORKS)}")
        return config


Norm = Callable[[int], nn.Module]


class SmallCNN(nn.Module):
    """Strided 3x3 convolutions down to 4x4 pixels, each followed by a residual one; 0.29 million weights at 32 pixels.

    Larger images get more halvings, so that the last layer always sees the whole image. BatchNorm, not GroupNorm: both
    run at 1,450 images/s on one CPU thread, but on digits BatchNorm errs on 1.1 % and GroupNorm on 1.9 % of the images
    (12 epochs, mean of 4 splits). It wants batches that are never tiny, also where several processes share one: there,
    GroupNorm (`small-cnn-groupnorm`) gives the very same steps for any number of processes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, width: int = 32, most: int = 256, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        halvings = max(2, round(math.log2(config.image_size / 4)))
        widths = [min(most, width << stage) for stage in range(halvings)]
        self.register_buffer("mean", torch.tensor(config.mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(-1, 1, 1) * 255, persistent=False)
        self.stages = nn.Sequential(
            *(Stage(before, after, norm) for before, after in zip([3, *widths[:-1]], widths, strict=True))
        )
        self.classify = nn.Linear(widths[-1], len(config.classes))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.stages((images - self.mean).div_(self.std))
        return features.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(images))
        return logits


class Stage(nn.Module):
    """Half the height and width, `after` channels, and a residual convolution on those."""

    def __init__(self, before: int, after: int, norm: Norm) -> None:
        super().__init__()
        self.halve = nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), norm(after), nn.ReLU())
        self.refine = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), norm(after), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        features = self.halve(features)
        refined: Tensor = features + self.refine(features)
        return refined


NETWORKS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "small-cnn": SmallCNN,
    "small-cnn-groupnorm": partial(SmallCNN, norm=partial(nn.GroupNorm, 8)),
}


def refuse_unknown(network: str) -> None:
    """Raises ValueError for a name that no network has; of timm's names only where timm can be imported."""
    if not is_known(network):
        raise ValueError(
            f"there is no network {network!r}\nhint: use one of {', '.join(NETWORKS)} or {backbone.PREFIX}NAME, or "
            "list your own in NETWORKS"
        )
    if network.startswith(backbone.PREFIX):
        backbone.refuse_unknown(network)


def is_known(network: str) -> bool:
    return network in NETWORKS or network.startswith(backbone.PREFIX)


def build(config: ModelConfig) -> nn.Module:
    """A new network with random weights, laid out for images whose channels come last, as they lie in the arrays.

    Raises ValueError when it needs timm and that is not there.
    """
    if config.network.startswith(backbone.PREFIX):
        model: nn.Module = backbone.TimmClassifier(
            config.network, len(config.classes), config.image_size, config.mean, config.std
        )
    else:
        model = NETWORKS[config.network](config)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def needed_packages(config: ModelConfig) -> list[str]:
    return backbone.packages() if config.network.startswith(backbone.PREFIX) else []
