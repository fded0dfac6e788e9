"""Weights to start from: the `pretrained` channel holds an artifact of this training, or a file of weights.

A .pt, .pth or .bin is a pickle, and so is the model.pt of an older artifact. A user chose it, and may have it from
anywhere, so it is read by torch's restricted unpickler alone, in a version without a known hole (CVE-2026-24747).
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from archive import unpack
from errors import PretrainedError

ARTIFACT = "model.tar.gz"
PICKLED = (".pt", ".pth", ".bin")
UNPICKLES = (2, 10)  # the first torch whose weights_only unpickler CVE-2026-24747 does not reach
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
    """Raises PretrainedError."""
    try:
        if path.name != ARTIFACT:
            return read_file(path)
        with tempfile.TemporaryDirectory() as unpacked:
            unpack(path, Path(unpacked))
            weights, old = (Path(unpacked) / f"model{suffix}" for suffix in (".safetensors", ".pt"))
            return read_file(old if old.is_file() and not weights.is_file() else weights)
    except PretrainedError:
        raise
    except Exception as error:  # each format raises a dozen different ones
        raise PretrainedError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}",
            hint="weights are a dictionary of tensors, in a .safetensors file or one that torch.save wrote",
        ) from error


def read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix not in PICKLED:
        return load_file(path)
    if version_of(torch.__version__) < UNPICKLES:
        raise PretrainedError(
            f"{path.name} is a pickle, and the unpickler of torch {torch.__version__} can be made to run foreign code",
            hint="give the weights as .safetensors, or train with an image of torch 2.10 or later",
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def version_of(text: str) -> tuple[int, ...]:
    """Major and minor version."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])
