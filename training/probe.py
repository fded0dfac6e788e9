"""The cheap mode: what a frozen network sees in every image, once, and a linear layer fitted to that."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loading import Source
from processes import Processes
from reporting import Report
from validating import validate

CHUNK = 256  # images
ITERATIONS = 200


def probe(
    model: nn.Module, train: Source, validation: Source, decay: float, smoothing: float, bf16: bool,
    processes: Processes, report: Report,
) -> None:  # fmt: skip
    """Fit `model.classify`. It is over before a checkpoint would be due, and has no use for several processes."""
    began = time.monotonic()
    features = all_features(model, train, bf16)
    seconds = time.monotonic() - began
    loss = fit_last_layer(model, features, train.labels, decay, smoothing)
    fitted = time.monotonic()
    report.step_seconds = fitted - began
    validation_loss, accuracy = validate(model, validation, Processes(0, 1, processes.device))
    report.validation_seconds = time.monotonic() - fitted
    report.epoch_over(len(train), seconds, train.data.image_size, accuracy)
    processes.say(
        f"epoch=1 train:loss={loss:.4f} validation:loss={validation_loss:.4f} validation:accuracy={accuracy:.4f} "
        f"images/s={len(train) / seconds:.0f}"
    )


@torch.inference_mode()
def all_features(model: nn.Module, source: Source, bf16: bool) -> Tensor:
    """(images, features) in fp32, on the device."""
    model.eval()
    device, features = source.labels.device, []
    for rows in torch.arange(len(source)).split(CHUNK):  # type: ignore[no-untyped-call]
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            images, places = source.images.fetch(rows, device)
            features.append(model.features(images[places.to(device)].permute(0, 3, 1, 2)).float())  # type: ignore[operator]
    return torch.cat(features)


def fit_last_layer(model: nn.Module, features: Tensor, labels: Tensor, decay: float, smoothing: float) -> float:
    """Fit `model.classify` to them, all at once, and return the cross-entropy; L-BFGS, since the problem is convex.

    `decay` is of the weights for features of unit variance, so that one value suits all networks.
    """
    features = features.clone()  # out of inference mode
    mean, std = features.mean(0), features.std(0).clamp_min(1e-6)
    features = (features - mean) / std
    layer: nn.Linear = model.classify  # type: ignore[assignment]
    weight = torch.zeros_like(layer.weight, requires_grad=True)
    bias = torch.zeros_like(layer.bias, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        return F.cross_entropy(F.linear(features, weight, bias), labels, label_smoothing=smoothing)

    def penalized() -> Tensor:
        optimizer.zero_grad()
        error = loss() + decay * weight.square().mean()
        error.backward()  # type: ignore[no-untyped-call]
        return error

    optimizer.step(penalized)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight.copy_(weight / std)
        layer.bias.copy_(bias - (weight / std) @ mean)
        return loss().item()
