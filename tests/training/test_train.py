"""Training: what it writes, that it resumes exactly after any kill, and when it refuses to."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_samples import TRAINING, finish, start
from started_processes import starts_process

import checkpoint
import configuration
import train
from dataset import read_split
from errors import CheckpointError, DataSetError, DivergenceError
from inference import model_fn, predict
from optimizing import learning_rate
from sampling import ROW, Sampler, augment, gather, resample

# Slow enough to be killed where the test wants it.
SLOW_TRAINING = """
import sys, time, train
augment = train.augment
train.augment = lambda *arguments: (time.sleep(0.05), augment(*arguments))[1]
sys.exit(train.main())
"""
# 5 batches an epoch, and a checkpoint after every step: a kill falls anywhere, in the midst of an epoch or of writing.
OPTIONS = ("--epochs", "4", "--batch-size", "12", "--flip-probability", "0.5", "--checkpoint-seconds", "0",
           "--deterministic", "true")  # fmt: skip


def command(data: Path, out: Path, *options: str) -> list[str]:
    folders = ("--train", data / "train", "--validation", data / "validation", "--model-dir", out / "model")
    return [*map(str, folders), "--checkpoint-dir", str(out / "checkpoints"), *OPTIONS, *options]


@pytest.fixture(scope="module")
@starts_process
def uninterrupted(colors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted")
    finish(start(TRAINING / "train.py", *command(colors, out)))
    return out


# Killed while it validates for the second time, when the last step of that epoch is on the disk.
KILLED_IN_VALIDATION = """
import os, signal, sys, time, train
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--checkpoint-dir") + 1])
validate, newest = train.validate, folder / "checkpoint-00000010.safetensors"
validated = []
def killed(*arguments):
    if validated:
        while not newest.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    validated.append(1)
    return validate(*arguments)
train.validate = killed
sys.exit(train.main())
"""


@pytest.mark.process
def test_killed_between_an_epochs_last_step_and_its_validation_it_goes_on_with_the_validation(
    colors: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    process = start("-c", KILLED_IN_VALIDATION, *command(colors, tmp_path))
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    resumed = finish(start(TRAINING / "train.py", *command(colors, tmp_path, "--output-dir", str(tmp_path))))
    assert "resuming after 1 epochs and 5 steps" in resumed
    assert (tmp_path / "model/model.safetensors").read_bytes() == (
        uninterrupted / "model/model.safetensors"
    ).read_bytes()
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["accuracies"]) == 4
    assert len(report["images_per_second"]) == 3  # of the second epoch, the start that went on with it saw no step
    assert min(report["images_per_second"]) > 0


@pytest.mark.process
def test_work_is_saved_before_a_validation_that_outlasts_the_interval(colors: Path, tmp_path: Path) -> None:
    slow = "import time, train\nvalidate = train.validate\n"
    slow += "train.validate = lambda *arguments: (time.sleep(0.5), validate(*arguments))[1]\ntrain.main()"
    process = start("-c", slow, *command(colors, tmp_path, "--epochs", "2", "--checkpoint-seconds", "0.4"))
    finish(process)
    assert "checkpoint-00000010.safetensors" in {path.name for path in (tmp_path / "checkpoints").iterdir()}


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    deadline = time.monotonic() + 60
    while not any(int(path.stem.split("-")[1]) >= step for path in folder.glob("checkpoint-*.safetensors")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.002)


@pytest.mark.process
def test_after_a_sigterm_it_exits_with_143_and_goes_on_to_the_same_weights(
    colors: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    # Without checkpoints by time, the one that is there afterwards is the one that the signal caused.
    options = ("--checkpoint-seconds", "1e9")
    process = start("-c", SLOW_TRAINING, *command(colors, tmp_path, *options))
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch=1 "):
        assert process.poll() is None
    time.sleep(0.12)  # into the midst of the next epoch
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "interrupted after" in output
    assert not list((tmp_path / "model").iterdir())

    assert "resuming after" in finish(start(TRAINING / "train.py", *command(colors, tmp_path, *options)))
    assert (tmp_path / "model/model.safetensors").read_bytes() == (
        uninterrupted / "model/model.safetensors"
    ).read_bytes()


@pytest.mark.process
def test_killed_twice_without_warning_it_still_ends_with_the_same_weights(
    colors: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    for step in (3, 14):
        process = start("-c", SLOW_TRAINING, *command(colors, tmp_path))
        wait_for_step(process, tmp_path / "checkpoints", step)
        time.sleep(random.random() / 20)
        process.kill()
        process.communicate()
    finish(start(TRAINING / "train.py", *command(colors, tmp_path)))
    assert (tmp_path / "model/model.safetensors").read_bytes() == (
        uninterrupted / "model/model.safetensors"
    ).read_bytes()
    assert (tmp_path / "model/model.json").read_bytes() == (uninterrupted / "model/model.json").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    colors: Path, uninterrupted: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (uninterrupted / "checkpoints").iterdir():
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
    newest, before = checkpoint.newest_first(tmp_path / "checkpoints")
    content = bytearray(newest.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    newest.write_bytes(content[:middle] if damage == "cut" else content)
    assert (newest.name, before.name) == ("checkpoint-00000020.safetensors", "checkpoint-00000019.safetensors")

    assert train.main(command(colors, tmp_path)) == 0
    output = capsys.readouterr().out
    assert f"passing over the damaged checkpoint {newest}" in output
    assert "resuming after 3 epochs and 4 steps" in output
    assert (tmp_path / "model/model.safetensors").read_bytes() == (
        uninterrupted / "model/model.safetensors"
    ).read_bytes()


def test_two_checkpoints_are_kept_and_nothing_unfinished(uninterrupted: Path) -> None:
    names = sorted(path.name for path in (uninterrupted / "checkpoints").iterdir())
    assert names == ["checkpoint-00000019.safetensors", "checkpoint-00000020.safetensors"]


def test_a_checkpoint_of_another_training_is_refused(colors: Path, uninterrupted: Path, tmp_path: Path) -> None:
    options = ("--checkpoint-dir", str(uninterrupted / "checkpoints"), "--epochs", "5", "--seed", "7")
    message = r"epochs was 4 and is 5, seed was 0 and is 7\nhint: choose an empty checkpoint folder"
    with pytest.raises(CheckpointError, match=message):
        train.main(command(colors, tmp_path, *options))


def test_a_checkpoint_of_other_data_or_code_is_refused(
    colors: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in configuration.FILES:
        (tmp_path / name).write_bytes((TRAINING / name).read_bytes() + b"# changed\n")
    monkeypatch.setattr(configuration, "CODE", tmp_path)
    with pytest.raises(CheckpointError, match="different training: code was "):
        train.main(command(colors, uninterrupted))
    monkeypatch.undo()

    (tmp_path / "train").mkdir()
    for path in (colors / "train").iterdir():
        (tmp_path / "train" / path.name).write_bytes(path.read_bytes())
    facts = json.loads((tmp_path / "train/dataset.json").read_text())
    (tmp_path / "train/dataset.json").write_text(json.dumps({**facts, "digest": "f" * 64}))
    with pytest.raises(CheckpointError, match=r"different training: train was .* and is ffff"):
        train.main([*command(colors, uninterrupted), "--train", str(tmp_path / "train")])


def test_each_epoch_prints_one_line_that_the_metric_definitions_match(
    colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main(command(colors, tmp_path, "--epochs", "2"))
    line = r"epoch=%d train:loss=\d+\.\d{4} validation:loss=\d+\.\d{4} validation:accuracy=[01]\.\d{4} images/s=\d+"
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch=")]
    assert len(lines) == 2
    for number, text in enumerate(lines, start=1):
        assert re.fullmatch(line % number, text)


def test_a_loss_that_is_not_a_number_ends_the_training_with_a_hint(colors: Path, tmp_path: Path) -> None:
    with pytest.raises(DivergenceError, match=r"loss became (nan|inf) in epoch 1\nhint: lower --learning-rate"):
        train.main(command(colors, tmp_path, "--learning-rate", "1e30"))
    assert not list((tmp_path / "model").iterdir())


def test_splits_of_different_data_sets_are_refused(colors: Path, digits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="3 classes of 16 pixels and validation 10 of 32"):
        train.main([*command(colors, tmp_path), "--validation", str(digits / "validation")])
    with pytest.raises(DataSetError, match=r"is not a prepared data set(.|\n)*hint: name a folder that preprocess\.py"):
        read_split(tmp_path)


def test_the_learning_rate_rises_in_a_line_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 100, warmup_share=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def offset_images(count: int) -> torch.Tensor:
    """Each pixel's value is its position: 16 times the row, plus the column."""
    return torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(count, 16, 16, 3).contiguous()


def test_shifted_images_keep_their_pixels_and_mirrored_ones_their_rows() -> None:
    images, still = offset_images(50), Sampler(50, 16, 50, seed=0)
    assert torch.equal(augment(images, torch.arange(len(images)), still.plan(0), still, 16), images)
    mirrored = replace(still, flip_probability=1.0)
    assert torch.equal(augment(images, torch.arange(len(images)), mirrored.plan(0), mirrored, 16), images.flip(2))
    moved = replace(still, shift=0.13)
    middles = augment(images, torch.arange(len(images)), moved.plan(0), moved, 16)[:, 8, 8, 0].tolist()
    offsets = {(middle // 16 - 8, middle % 16 - 8) for middle in middles}
    assert len(offsets) > 15
    assert max(np.abs(list(offsets)).ravel()) == 2


def test_windows_are_cut_as_they_are_gathered() -> None:
    images, sampler = offset_images(40), Sampler(40, 16, 40, seed=3, crop=0.75, flip_probability=0.5)
    plan = sampler.plan(0)
    windows = augment(images, torch.arange(40), plan, sampler, 12)
    assert torch.equal(windows, gather(images, torch.arange(40), plan, 12))
    assert len({tuple(window[0, 0].tolist()) for window in windows}) > 10


def test_a_zoomed_window_lies_inside_the_one_it_enlarges_and_the_whole_is_as_gathered() -> None:
    images, sampler = offset_images(40), Sampler(40, 16, 40, seed=3, crop=0.75, flip_probability=0.5)
    plan = sampler.plan(0)
    assert torch.allclose(
        resample(images, plan, sampler, 12), gather(images, torch.arange(40), plan, 12).float(), atol=1e-2
    )
    closer = replace(sampler, zoom=0.5)
    zoomed = resample(images, closer.plan(0), closer, 12)
    whole = gather(images, torch.arange(40), closer.plan(0), 12).float()
    assert (zoomed.amax((1, 2, 3)) <= whole.amax((1, 2, 3)) + 0.01).all()
    assert (zoomed.amax((1, 2, 3)) < whole.amax((1, 2, 3)) - 1).float().mean() > 0.9


def test_every_image_is_seen_once_an_epoch_and_in_another_order_in_the_next() -> None:
    sampler = Sampler(100, 8, 20, seed=1)
    first, second = (
        torch.cat([sampler.plan(step)[:, ROW] for step in range(start, start + 5)]).tolist() for start in (0, 5)
    )
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_windows_grow_until_two_thirds_of_the_epochs() -> None:
    sampler = Sampler(10, 128, 5, seed=0, smallest=0.5)
    assert [sampler.size(epoch, 6) for epoch in range(6)] == [64, 80, 96, 112, 128, 128]


def test_windows_never_grow_beyond_their_own_size() -> None:
    """Of 28 and of 8 pixels, which are not multiples of 16."""
    assert max(Sampler(10, 32, 5, seed=0, crop=0.875, smallest=0.9).size(epoch, 6) for epoch in range(6)) == 28
    assert [Sampler(10, 8, 5, seed=0, smallest=0.5).size(epoch, 6) for epoch in range(6)] == [8] * 6


def test_the_default_hyperparameters_learn_real_digits(digits: Path, digits_model: Path) -> None:
    test = read_split(digits / "test")
    predicted = predict(test.images, model_fn(str(digits_model))).probabilities.argmax(1)
    assert (predicted == test.labels).mean() >= 0.98
