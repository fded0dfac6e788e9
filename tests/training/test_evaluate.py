"""The champion gate's figures: which candidate wins, against which champion, and by how much."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from image_samples import pack
from own_jobs import has, read_paths
from safetensors.torch import load_file, save_file
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

import evaluate
import known_answer
from artifact import write_model
from inference import input_fn, model_fn, output_fn, predict_fn
from local_cloud.sagemaker.hosting.model_archive import unpack
from model import ModelConfig, build
from originals import Originals, read_originals
from pipeline_definition import PipelineSettings, build_pipeline

pytestmark = pytest.mark.process

DIGITS = tuple(str(digit) for digit in range(10))


@pytest.fixture(scope="module")
def good(digits_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(digits_model, tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned nothing."""
    return untrained(tmp_path_factory.mktemp("bad"))


@pytest.fixture
def none(tmp_path: Path) -> Path:
    (tmp_path / "champion").mkdir()
    (tmp_path / "champion/NONE").touch()
    return tmp_path / "champion"


def untrained(folder: Path, classes: tuple[str, ...] = DIGITS, image_size: int = 32) -> Path:
    torch.manual_seed(0)
    config = ModelConfig("small-cnn", classes, image_size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    write_model(folder / "model", build(config), config, {})
    return pack(folder / "model", folder / "artifact")


def run(digits: Path, out: Path, champion: Path, *options: str, **candidates: Path) -> dict[str, Any]:
    words = [word for name, folder in candidates.items() for word in ("--candidate", f"{name}={folder}")]
    folders = ("--champion", champion, "--evaluation", out / "evaluation", "--winner", out / "winner")
    evaluate.main(["--test", str(digits / "test-files"), *words, *map(str, folders), *options])
    report: dict[str, Any] = json.loads((out / "evaluation/evaluation.json").read_text())
    return report


def test_without_a_champion_the_improvement_is_the_winners_accuracy(
    digits: Path, good: Path, none: Path, tmp_path: Path
) -> None:
    report = run(digits, tmp_path, none, spot=good)
    assert report["champion"] == {"present": False}
    assert report["improvement"] == report["winner"]["accuracy"] >= 0.98


def test_what_steps_read_is_in_a_small_file_at_the_same_paths(
    digits: Path, good: Path, none: Path, tmp_path: Path
) -> None:
    report = run(digits, tmp_path, none, spot=good)
    content = (tmp_path / "evaluation/decision.json").read_bytes()
    read = json.loads(content)
    assert len(content) < 2_000
    paths = set(read_paths(build_pipeline(PipelineSettings(), in_vpc=True)))
    assert paths
    assert [path for path in sorted(paths) if not has(read, path)] == []
    metrics = "multiclass_classification_metrics"
    assert set(read.pop(metrics)) == {"accuracy", "macro_f1"}
    assert {name: report[name] for name in read} == read


def test_the_winners_answer_to_the_probe_is_recorded(
    digits: Path, good: Path, bad: Path, none: Path, tmp_path: Path
) -> None:
    """The same as the artifact's handlers give for the same image."""
    for number, artifact in enumerate((good, bad)):
        recorded = run(digits, tmp_path / str(number), none, spot=artifact)["summary"]["probe_answer"]
        unpacked = tmp_path / f"model-{number}"
        unpack(artifact / "model.tar.gz", unpacked)
        model = model_fn(str(unpacked))
        (answer,) = json.loads(output_fn(predict_fn(input_fn(known_answer.IMAGE, "image/png"), model), "*/*"))[
            "predictions"
        ]
        place, probability = recorded.split()
        assert DIGITS[int(place)] == answer["label"]
        assert float(probability) == pytest.approx(answer["probability"], abs=1e-4)


def test_code_that_takes_no_such_image_has_no_answer_recorded(
    digits_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(digits_model, tmp_path / "model")
    with (tmp_path / "model/code/inference.py").open("a") as file:
        file.write("\n\ndef input_fn(body, content_type):\n    raise ValueError('too small')\n")
    artifact = pack(tmp_path / "model", tmp_path / "artifact")
    assert known_answer.known_answer(artifact, 60.0) == "none"
    assert (
        "no answer to the endpoint's probe is recorded: it refuses every image: ValueError: too small"
        in capsys.readouterr().out
    )


def test_a_better_candidate_wins_over_an_earlier_one_and_over_the_champion(
    digits: Path, good: Path, bad: Path, tmp_path: Path
) -> None:
    report = run(digits, tmp_path, bad, spot=bad, ondemand=good)
    assert report["winner"]["name"] == "ondemand"
    assert report["candidates"]["spot"]["accuracy"] == report["champion"]["accuracy"] < 0.3
    assert report["candidates"]["spot"]["loss"] > report["candidates"]["ondemand"]["loss"] > 0
    difference = report["winner"]["accuracy"] - report["champion"]["accuracy"]
    assert report["improvement"] == pytest.approx(difference)
    assert difference > 0.6
    assert (tmp_path / "winner/model.tar.gz").read_bytes() == (good / "model.tar.gz").read_bytes()


def test_a_candidate_that_equals_the_champion_improves_nothing(digits: Path, good: Path, tmp_path: Path) -> None:
    assert run(digits, tmp_path, good, spot=good)["improvement"] == 0


def test_a_worse_candidate_has_a_negative_improvement(digits: Path, good: Path, bad: Path, tmp_path: Path) -> None:
    report = run(digits, tmp_path, good, spot=bad)
    assert report["champion"]["present"] is True
    assert report["improvement"] < -0.6


def test_of_equal_candidates_the_first_and_cheapest_wins_byte_for_byte(
    digits: Path, good: Path, digits_model: Path, none: Path, tmp_path: Path
) -> None:
    same = tmp_path / "same"
    shutil.copytree(digits_model, same)
    (same / "note").write_text("the same weights in another archive")
    other = pack(same, tmp_path / "other")
    for first, second in ((good, other), (other, good)):
        report = run(digits, tmp_path, none, spot=first, ondemand=second)
        assert report["winner"]["name"] == "spot"
        content = (first / "model.tar.gz").read_bytes()
        assert (tmp_path / "winner/model.tar.gz").read_bytes() == content
        assert report["artifact"] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def test_the_figures_are_those_that_scikit_learn_computes(digits: Path, bad: Path, none: Path, tmp_path: Path) -> None:
    report = run(digits, tmp_path, none, spot=bad)
    test = read_originals(digits / "test-files")
    predicted = predicted_by(bad.parent / "model", test)
    metrics = report["multiclass_classification_metrics"]
    weighted = precision_recall_fscore_support(test.labels, predicted, average="weighted", zero_division=0)
    for name, value in zip(("precision", "recall", "f1"), weighted, strict=False):
        assert metrics[f"weighted_{name}"] == {"value": pytest.approx(value), "standard_deviation": "NaN"}
    per_class = precision_recall_fscore_support(test.labels, predicted, labels=range(10), zero_division=0)
    for index, label in enumerate(DIGITS):
        expected = dict(zip(("precision", "recall", "f1", "images"), (v[index] for v in per_class), strict=True))
        assert report["per_class"][label] == pytest.approx(expected)
    assert metrics["macro_f1"]["value"] == pytest.approx(
        f1_score(test.labels, predicted, labels=range(10), average="macro", zero_division=0)
    )
    matrix = confusion_matrix(test.labels, predicted, labels=range(10))
    assert metrics["confusion_matrix"] == {
        actual: dict(zip(DIGITS, row.tolist(), strict=True)) for actual, row in zip(DIGITS, matrix, strict=True)
    }


def predicted_by(model: Path, test: Originals) -> list[int]:
    """One image a request, as a client would ask."""
    loaded, found = model_fn(str(model)), []
    with zipfile.ZipFile(test.archive) as file:
        for name in file.namelist():
            answer = output_fn(predict_fn(input_fn(file.read(name), "image/jpeg"), loaded), "application/json")
            found.append(int(json.loads(answer)["predictions"][0]["label"]))
    return found


def test_a_champion_whose_classes_come_in_another_order_is_compared_by_their_names(
    digits: Path, good: Path, digits_model: Path, tmp_path: Path
) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(digits_model, turned)
    weights = load_file(turned / "model.safetensors")
    for name in ("classify.weight", "classify.bias"):
        weights[name] = weights[name].flip(0)
    save_file(weights, turned / "model.safetensors")
    document = json.loads((turned / "model.json").read_text())
    (turned / "model.json").write_text(json.dumps({**document, "classes": document["classes"][::-1]}))
    assert run(digits, tmp_path, pack(turned, tmp_path / "champion"), spot=good)["improvement"] == 0
