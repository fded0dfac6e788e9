"""Checkpoints: what is left of them when they are damaged or were cut off."""

from __future__ import annotations

from pathlib import Path

import torch

import checkpoint

CONFIGURATION = {"seed": "0"}


def write(folder: Path, step: int) -> Path:
    folder.mkdir(exist_ok=True)
    state = {"configuration": CONFIGURATION, "step": step, "model": {"weight": torch.arange(4.0)}}
    checkpoint.write(folder, step, state)
    return folder / f"checkpoint-{step:08}.pt"


def test_wherever_a_byte_is_changed_a_checkpoint_is_whole_or_passed_over(tmp_path: Path) -> None:
    """Also in the zip file's own records, where damage looks like anything: a wrong offset, name or length."""
    path = write(tmp_path, 2)
    write(tmp_path, 1)
    content, steps = path.read_bytes(), []
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        state = checkpoint.load(tmp_path, CONFIGURATION)
        assert state is not None
        assert torch.equal(state["model"]["weight"], torch.arange(4.0))
        steps.append(state["step"])
    assert steps.count(1) > steps.count(2) > 0


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
        "checkpoint-00000300.pt",
        "checkpoint-00000200.pt",
    ]
    assert (tmp_path / "checkpoint-00000900.damaged").exists()


def test_what_was_cut_off_while_it_was_written_is_removed_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-00000003.unfinished").write_bytes(b"half")
    write(tmp_path, 2)
    checkpoint.Writer(tmp_path, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-00000002.pt"]
