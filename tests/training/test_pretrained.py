"""Weights to start from, the linear probe on them, and backbones of timm."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from image_samples import TRAINING, finish, pack, start, write_pictures
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import train
from backbone import TimmClassifier
from errors import CheckpointError, PretrainedError, TrainingError
from model import ModelConfig, build
from options import parse_arguments
from pretrained import load_pretrained


def options(data: Path, out: Path, *more: str) -> list[str]:
    folders = ("--train", data / "train", "--validation", data / "validation", "--model-dir", out)
    return [*map(str, folders), *more]


def accuracies(output: str) -> list[float]:
    return [float(accuracy) for accuracy in re.findall(r"validation:accuracy=(\S+)", output)]


def test_a_frozen_network_with_a_fitted_last_layer_knows_the_digits_in_one_pass(
    digits: Path, digits_model: Path, tmp_path: Path
) -> None:
    artifact = pack(digits_model, tmp_path / "pretrained")
    words = options(digits, tmp_path / "model", "--pretrained", str(artifact), "--output-dir", str(tmp_path))
    output = finish(start(TRAINING / "train.py", *words, "--freeze", "true"))  # as hyperparameters come
    assert accuracies(output) == [pytest.approx(1, abs=0.03)]
    said = dict(re.findall(r"(\w+:loss)=(\S+)", output))
    assert float(said["train:loss"]) < 0.5 * math.log(10)  # the loss of the fit, and not of no weights at all
    assert "report: " in output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["best_accuracy"] == pytest.approx(accuracies(output)[0], abs=1e-4)
    before, after = (load_file(folder / "model.safetensors") for folder in (digits_model, tmp_path / "model"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classify.weight", "classify.bias"}


def test_a_training_that_starts_from_weights_is_ahead_after_one_epoch(
    digits: Path, digits_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = str(pack(digits_model, tmp_path / "pretrained"))
    train.main(
        options(digits, tmp_path / "model", "--epochs", "1", "--learning-rate", "3e-4", "--pretrained", artifact)
    )
    output = capsys.readouterr().out
    assert "starting from 38 of 38 tensors from model.tar.gz" in output
    assert accuracies(output)[0] > 0.97


def config(network: str, classes: int = 3) -> ModelConfig:
    return ModelConfig(network, tuple("abcdefghij"[:classes]), 32, (0.5,) * 3, (0.5,) * 3)


def test_a_last_layer_of_other_classes_is_new_and_said_to_be(digits_model: Path, tmp_path: Path) -> None:
    torch.save(load_file(digits_model / "model.safetensors"), tmp_path / "weights.pth")
    said = load_pretrained(build(config("small-cnn")), tmp_path)
    assert said == "36 of 38 tensors from weights.pth; new: classify.bias, classify.weight"


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = build(config("small-cnn"))
    with pytest.raises(PretrainedError, match=r"holds 0 files of weights: \nhint: put one file there"):
        load_pretrained(model, tmp_path)
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "weights.pt")
    with pytest.raises(PretrainedError, match=r"weights\.pt has 0 of the 38 tensors of the network(.|\n)*hint: give"):
        load_pretrained(model, tmp_path)
    (tmp_path / "weights.pt").write_bytes(b"no weights")
    with pytest.raises(PretrainedError, match=r"weights\.pt cannot be read: "):
        load_pretrained(model, tmp_path)


def test_an_older_artifact_has_its_weights_in_a_pickle(digits_model: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    torch.save(load_file(digits_model / "model.safetensors"), tmp_path / "model/model.pt")
    said = load_pretrained(build(config("small-cnn", 10)), pack(tmp_path / "model", tmp_path / "pretrained"))
    assert said == "38 of 38 tensors from model.tar.gz"


@pytest.mark.parametrize(("version", "taken"), [("2.6.0+cpu", False), ("2.9.1", False), ("2.10.0", True)])
def test_a_pickle_is_read_by_a_torch_without_a_known_hole_alone(
    version: str, taken: bool, digits_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2026-24747 is in the unpickler of torch before 2.10, weights_only or not."""
    monkeypatch.setattr(torch, "__version__", version)
    weights, model = load_file(digits_model / "model.safetensors"), build(config("small-cnn", 10))
    torch.save(weights, tmp_path / "weights.pt")
    if taken:
        assert load_pretrained(model, tmp_path) == "38 of 38 tensors from weights.pt"
        return
    with pytest.raises(PretrainedError, match=rf"weights\.pt is a pickle, .* torch {re.escape(version)} ") as refused:
        load_pretrained(model, tmp_path)
    assert "hint: give the weights as .safetensors, or " in str(refused.value)
    (tmp_path / "weights.pt").unlink()
    save_file(weights, tmp_path / "weights.safetensors")
    assert load_pretrained(model, tmp_path) == "38 of 38 tensors from weights.safetensors"


@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_a_backbone_of_timm_says_what_it_needs_where_timm_is_not() -> None:
    with pytest.raises(
        ValueError, match=r"timm:resnet50 needs timm, which cannot be imported(.|\n)*hint: name timm and"
    ):
        TimmClassifier("timm:resnet50", 3, 32, (0.5,) * 3, (0.5,) * 3)


class Body(nn.Module):
    """The body of a timm network: its features before and after the layer in front of the head."""

    def __init__(self, side: int | None = None) -> None:
        super().__init__()
        self.num_features, self.head_hidden_size, self.side = 6, 8, side

    def forward(self, images: Tensor) -> Tensor:
        assert self.side in (None, images.shape[-1])
        return images.mean((2, 3)).repeat(1, 3)[:, : self.head_hidden_size]


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    """What of timm is used: as in 1.0.31, where 58 of 60 networks that were tried run so."""
    module = types.ModuleType("timm")
    module.is_model = lambda name: True  # type: ignore[attr-defined]
    module.get_pretrained_cfg = lambda name: types.SimpleNamespace(fixed_input_size=name == "vit")  # type: ignore[attr-defined]
    module.create_model = lambda name, num_classes, img_size=None: Body(img_size)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", module)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize("network", ["mobilenetv3", "vit"])
def test_a_backbone_is_made_for_the_size_of_the_images_and_of_its_features(network: str) -> None:
    model = build(config(f"timm:{network}"))
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 3)


@pytest.mark.usefixtures("timm")
def test_a_backbone_for_one_size_refuses_windows_of_another(digits: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"takes images of 32 pixels alone(.|\n)*hint: leave --crop"):
        train.main(options(digits, tmp_path, "--network", "timm:vit", "--crop", "0.5"))


def test_a_checkpoint_that_started_from_other_weights_is_refused(
    digits: Path, digits_model: Path, tmp_path: Path
) -> None:
    channel = tmp_path / "pretrained"
    channel.mkdir()
    shutil.copy(digits_model / "model.safetensors", channel / "weights.safetensors")
    words = options(digits, tmp_path / "model", "--epochs", "1", "--pretrained", str(channel))
    words += ["--checkpoint-dir", str(tmp_path / "checkpoints"), "--checkpoint-seconds", "0"]
    train.main(words)
    weights = load_file(channel / "weights.safetensors")
    save_file({name: value * 2 for name, value in weights.items()}, channel / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"pretrained was \w{16} and is \w{16}"):
        train.main(words)


@pytest.mark.parametrize(("words", "switched"), [([], False), (["true"], True), (["False"], False)])
def test_a_switch_takes_the_value_that_a_hyperparameter_always_has(
    words: list[str], switched: bool, digits: Path, tmp_path: Path
) -> None:
    flags = ["--synthetic", *words] if words else []
    assert parse_arguments("", options(digits, tmp_path, *flags)).synthetic is switched


@pytest.mark.process
def test_original_images_are_trained_on_as_they_are(tmp_path: Path) -> None:
    """The third tier: class folders instead of arrays."""
    data = tmp_path / "data"
    for split, count in (("train", 20), ("validation", 5)):
        write_pictures(data / split, {"red": count, "blue": count})
    words = options(data, tmp_path / "model", "--image-size", "16", "--batch-size", "10", "--epochs", "3")
    output = finish(start(TRAINING / "train.py", *words))
    assert "decoded ahead by" in output
    assert accuracies(output)[-1] == 1
    assert json.loads((tmp_path / "model/model.json").read_text())["classes"] == ["blue", "red"]


def test_mapped_files_give_the_same_weights_as_resident_ones(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train.main(options(digits, tmp_path / "resident", "--epochs", "2", "--deterministic"))
    monkeypatch.setattr("loading.room_on", lambda device: 0)
    train.main(options(digits, tmp_path / "mapped", "--epochs", "2", "--deterministic", "--output-dir", str(tmp_path)))
    output = capsys.readouterr().out
    assert "resident on c" in output  # cpu or cuda:0
    assert "in mapped files" in output
    assert (tmp_path / "mapped/model.safetensors").read_bytes() == (
        tmp_path / "resident/model.safetensors"
    ).read_bytes()
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["tier"], report["starts"], len(report["accuracies"])) == ("mapped", 1, 2)
    assert report["data_wait_seconds"] < report["step_seconds"] < report["seconds"]
