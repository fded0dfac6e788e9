"""When a training compiles its network, and what it says where that does not work."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import compiling
import train
from errors import TrainingError
from loading import Source, open_source
from processes import Processes
from validating import validate

CPU = torch.device("cpu")


def broken(*words: object, **options: object) -> None:
    raise RuntimeError("Failed to find C compiler. Please specify via CC.\nmore")


def test_it_compiles_when_an_eighth_of_the_steps_to_come_exceeds_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "find_refusal", lambda device: None)
    assert compiling.decide(0.1, 4_700, CPU) == (False, "torch.compile may save 59 s: not compiled")
    assert compiling.decide(0.1, 4_900, CPU) == (True, "torch.compile may save 61 s: compiling")


def test_a_training_goes_on_uncompiled_and_says_why_where_there_is_no_compiler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first epoch is done by then."""
    monkeypatch.setattr(torch, "compile", broken)
    pays, sentence = compiling.decide(0.1, 10_000, CPU)
    assert not pays
    assert sentence == (
        "torch.compile may save 125 s, but does not work here: RuntimeError: Failed to find C compiler. Please specify "
        "via CC."
    )


def test_compile_on_is_refused_where_there_is_no_compiler(
    colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", broken)
    folders = ("--train", colors / "train", "--validation", colors / "validation", "--model-dir", tmp_path)
    with pytest.raises(TrainingError, match=r"Failed to find C compiler(.|\n)*hint: leave --compile at auto or off"):
        train.main([*map(str, folders), "--compile", "on", "--epochs", "1"])


class Compiled(nn.Module):
    """A network as `Module.compile` leaves it: what is called is not `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self._compiled_call_impl = self.compiled

    def compiled(self, images: torch.Tensor) -> torch.Tensor:
        raise AssertionError("compiled again for the shape of this batch")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(images.shape))
        return torch.zeros(len(images), 3)


def test_a_validation_does_not_have_its_shapes_compiled(colors: Path) -> None:
    """Its last batch is a smaller one."""
    source: Source = open_source(colors / "validation", CPU, 16)
    network = Compiled()
    validate(network, source, Processes(0, 1, CPU))
    assert sum(shape[0] for shape in network.shapes) == len(source)
