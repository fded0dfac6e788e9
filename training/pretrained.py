"""Weights to start from: the `pretrained` channel holds an artifact of this training, or a file of weights."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from archive import unpack
from errors import PretrainedError

ARTIFACT = "model.tar.gz"
PICKLED = (".pt", ".pth", ".bin")
LEAST_SHARE = 0.5


def load_pretrained(model: nn.Module, folder: Path) -> str:
    """Copy every weight that has the model's name and shape, which the last layer of other classes has not.

    Names may lack the `body.` that a backbone's weights have here. Returns what was done, for the log. Raises
    PretrainedError when fewer than half of the model's tensors are there: to go on would train from scratch unseen.
    """
    path = find_weights(folder)
    found = read_weights(path)
    named = {**{f"body.{name}": value for name, value in found.items()}, **found}
    wanted = model.state_dict()
    fitting = {
        name: named[name] for name, value in wanted.items() if name in named and named[name].shape == value.shape
    }
    if len(fitting) < LEAST_SHARE * len(wanted):
        raise PretrainedError(
            f"{path.name} has {len(fitting)} of the {len(wanted)} tensors of the network, by name and shape",
            hint="give weights of the same network, or leave the pretrained channel out",
        )
    model.load_state_dict({**wanted, **fitting})
    others = sorted(wanted.keys() - fitting.keys())
    return f"{len(fitting)} of {len(wanted)} tensors from {path.name}" + (
        f"; new: {', '.join(others)}" if others else ""
    )


def find_weights(folder: Path) -> Path:
    """The one file of weights in the channel. Raises PretrainedError when there is none, or another."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    weights = [path for path in files if path.name == ARTIFACT or path.suffix in (".safetensors", *PICKLED)]
    if len(weights) != 1:
        raise PretrainedError(
            f"the pretrained channel holds {len(weights)} files of weights: {', '.join(path.name for path in weights)}",
            hint=f"put one file there: {ARTIFACT} of a training, or weights as .safetensors, {', '.join(PICKLED)}",
        )
    return weights[0]


def read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.name == ARTIFACT:
            with tempfile.TemporaryDirectory() as unpacked:
                unpack(path, Path(unpacked))
                weights: dict[str, Tensor] = torch.load(
                    Path(unpacked) / "model.pt", map_location="cpu", weights_only=True
                )
                return weights
        if path.suffix == ".safetensors":
            weights = importlib.import_module("safetensors.torch").load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
        return weights
    except Exception as error:  # each format has a dozen of its own
        raise PretrainedError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            hint="weights are a dictionary of tensors; for .safetensors, name safetensors in training/requirements.txt",
        ) from error
