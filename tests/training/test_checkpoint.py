"""Checkpoints: what is left of them when they are damaged or were cut off."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import checkpoint
from nested import put_together, take_apart

CONFIGURATION = {"seed": "0"}


def write(folder: Path, step: int) -> Path:
    folder.mkdir(exist_ok=True)
    weights = {"weight": torch.arange(4.0), "bias": torch.ones(2, dtype=torch.bfloat16), "seen": torch.tensor(7)}
    state = {"configuration": CONFIGURATION, "step": step, "model": weights}
    checkpoint.write(folder, step, state)
    return folder / f"checkpoint-{step:08}.safetensors"


@pytest.mark.parametrize("flip", [0xFF, 0x01, 0x20])
def test_wherever_a_byte_is_changed_a_checkpoint_is_passed_over(tmp_path: Path, flip: int) -> None:
    """Also in the header, where damage looks like anything: a wrong offset, name, type or length."""
    path = write(tmp_path, 2)
    write(tmp_path, 1)
    content, steps = path.read_bytes(), []
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= flip
        path.write_bytes(damaged)
        state = checkpoint.load(tmp_path, CONFIGURATION)
        assert state is not None
        assert torch.equal(state["model"]["weight"], torch.arange(4.0))
        steps.append(state["step"])
    assert set(steps) == {1}


def test_damaged_checkpoints_do_not_push_out_good_ones(tmp_path: Path) -> None:
    for step in (890, 900):
        path = write(tmp_path, step)
        path.write_bytes(path.read_bytes()[:100])
    assert checkpoint.load(tmp_path, CONFIGURATION) is None
    for step in (100, 200, 300):
        write(tmp_path, step)
    state = checkpoint.load(tmp_path, CONFIGURATION)
    assert state is not None
    assert state["step"] == 300
    assert [path.name for path in checkpoint.newest_first(tmp_path)] == [
        "checkpoint-00000300.safetensors",
        "checkpoint-00000200.safetensors",
    ]
    assert (tmp_path / "checkpoint-00000900.damaged").exists()


def test_what_was_cut_off_while_it_was_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000003.unfinished").mkdir()
    (tmp_path / "checkpoint-00000003.unfinished/.tmpNjW2yV").write_bytes(b"half")
    write(tmp_path, 2)
    checkpoint.Writer(tmp_path, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000002.safetensors"]


def leaves(value: Any) -> Any:
    """The values, with what `==` of tensors does not compare: dtype, shape and strides."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.stride(), value.tolist()
    if isinstance(value, dict):
        return {key: leaves(item) for key, item in value.items()}
    return type(value)(map(leaves, value)) if isinstance(value, (list, tuple)) else (type(value), value)


def test_a_state_comes_back_with_its_types_keys_and_layout_in_memory(tmp_path: Path) -> None:
    """An optimizer's as well: integers are its keys, and its tensors lie as the weights do."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1 + 0.2, betas=(0.9, 0.95))
    model(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    state = {
        "configuration": CONFIGURATION,
        "optimizer": optimizer.state_dict(),
        "odd": [None, True, (1, -0.0, 1e300), {}, "\N{SNOWMAN}", torch.zeros(0), torch.ones(3, dtype=torch.bool)],
        "part": torch.arange(6.0).view(2, 3)[:, 1:],
    }
    checkpoint.write(tmp_path, 1, state)
    found = checkpoint.load(tmp_path, CONFIGURATION)
    assert found is not None
    assert found["part"].tolist() == state["part"].tolist()  # type: ignore[attr-defined]
    del found["part"], state["part"]
    assert leaves(found) == leaves(state)
    assert leaves(state["optimizer"]["state"][0]["exp_avg"])[2] == (27, 1, 9, 3)  # type: ignore[index]


def test_a_state_of_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="Path is neither a number, a text, a tensor nor a collection"):
        take_apart({"where": [Path("here")]})
    with pytest.raises(KeyError):
        put_together('{"pickle": "0"}', {})


def test_a_checkpoint_that_is_a_pickle_is_passed_over_and_none_of_it_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    write(tmp_path, 1)
    (tmp_path / "checkpoint-00000002.safetensors").write_bytes(pickle.dumps(Trap()))
    torch.save(Trap(), tmp_path / "checkpoint-00000003.safetensors")
    state = checkpoint.load(tmp_path, CONFIGURATION)
    assert state is not None
    assert state["step"] == 1
    assert not (tmp_path / "sprung").exists()


def test_a_checkpoint_is_as_readable_as_any_file(tmp_path: Path) -> None:
    """The library makes files that their owner alone may read; an endpoint's server may be another user."""
    assert write(tmp_path, 1).stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000001.safetensors"]
