"""A ResNet-50 with random weights (He et al. 2015; the stride of a block in its 3x3 convolution), without torchvision.

It stands for the networks that people bring: 25.6 million weights and 4.1 GFLOP an image of 224 pixels.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from model import NETWORKS, ModelConfig

FULL, SMALL = "resnet-50", "resnet-8"


class Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        after = 4 * width
        self.body = nn.Sequential(
            *(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)),
            *(nn.Conv2d(width, after, 1, bias=False), nn.BatchNorm2d(after)),
        )
        self.short: nn.Module = nn.Identity()
        if before != after or stride > 1:
            self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.body(features) + self.short(features))


class ResNet(nn.Module):
    """`blocks` of each of the four stages; uint8 or float images with 255 for white, as every network here takes."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, blocks: tuple[int, ...] = (3, 4, 6, 3), width: int = 64) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(config.mean).view(-1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(-1, 1, 1) * 255, persistent=False)
        stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers: list[nn.Module] = [*stem, nn.MaxPool2d(3, 2, 1)]
        before = width
        for stage, count in enumerate(blocks):
            for block in range(count):
                layers.append(Bottleneck(before, width << stage, 2 if stage and not block else 1))
                before = 4 * (width << stage)
        self.body = nn.Sequential(*layers)
        self.classify = nn.Linear(before, len(config.classes))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.body((images - self.mean).div_(self.std))
        return features.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.features(images))
        return logits


def register() -> None:
    """Make them networks that train.py and inference.py know, as users do with their own."""
    NETWORKS[FULL] = ResNet
    NETWORKS[SMALL] = partial(ResNet, blocks=(1, 1), width=4)


def configure(network: str, side: int, classes: int = 1000) -> ModelConfig:
    return ModelConfig(network, tuple(f"class-{number:04}" for number in range(classes)), side, (0.5,) * 3, (0.25,) * 3)
