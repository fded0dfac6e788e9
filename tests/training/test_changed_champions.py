"""A model line lives for years: the champion's classes, image size and code may be other ones than the candidate's."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from image_samples import TRAINING, facts, pack, prepare, write_pictures
from safetensors.torch import load_file

import evaluate
from artifact import write_model
from compare import exact_mcnemar
from errors import ComparisonError
from model import ModelConfig, build
from summary import summary

pytestmark = pytest.mark.process

# A model of other code than ours: no model.py, no model.json, and answers that follow from the image alone.
OWN_CODE = """
import base64, importlib.util, io, json, os
from PIL import Image

CLASSES = {classes!r}

def model_fn(model_dir):
    assert importlib.util.find_spec("evaluate") is None, "the job's own modules are in reach"
    assert os.path.exists(os.path.join(model_dir, "code", "inference.py"))
    return dict(zip(CLASSES, CLASSES))

def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return [base64.b64decode(item["b64"]) for item in json.loads(body)["instances"]]

def predict_fn(images, model):
    return [answer(Image.open(io.BytesIO(image)).convert("RGB").resize((1, 1)).getpixel((0, 0))) for image in images]

def answer(pixel):
    strength = dict(zip(("red", "green", "blue"), pixel))
    weights = [1.0 + strength.get(name, 128) for name in CLASSES]
    return dict(zip(CLASSES, (weight / sum(weights) for weight in weights)))

def output_fn(answers, accept):
    return json.dumps({{"predictions": [
        {{"label": max(one, key=one.get), "probabilities": one}} for one in answers
    ]}})
"""


def by_color(folder: Path, classes: tuple[str, ...], more: str = "") -> Path:
    """A model that is right for red, green and blue; an unknown class gets a middling probability."""
    (folder / "model/code").mkdir(parents=True)
    source = OWN_CODE.format(classes=classes) + textwrap.dedent(more)
    (folder / "model/code/inference.py").write_text(source)
    return pack(folder / "model", folder / "artifact")


def untrained(folder: Path, classes: tuple[str, ...], image_size: int = 16) -> Path:
    torch.manual_seed(0)
    config = ModelConfig("small-cnn", classes, image_size, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    write_model(folder / "model", build(config), config, {})
    return pack(folder / "model", folder / "artifact")


def run(data: Path, out: Path, champion: Path | None, candidate: Path, *options: str) -> dict[str, Any]:
    if champion is None:
        champion = out / "none"
        champion.mkdir(parents=True)
        (champion / "NONE").touch()
    evaluate.main(
        [
            *("--test", str(data / "test-files"), "--candidate", f"spot={candidate}", "--champion", str(champion)),
            *("--evaluation", str(out / "evaluation"), "--winner", str(out / "winner"), *options),
        ]
    )
    report: dict[str, Any] = json.loads((out / "evaluation/evaluation.json").read_text())
    return report


def test_a_model_sees_the_jobs_requirements_and_none_of_its_modules(
    colors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the local cloud, requirements are installed into a folder that PYTHONPATH names."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed/only_here.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", f"{TRAINING}{os.pathsep}{tmp_path / 'installed'}")
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"), "import only_here")
    assert run(colors, tmp_path, None, candidate)["winner"]["accuracy"] == 1


def test_equal_classes_are_compared_on_all_test_images(colors: Path, tmp_path: Path) -> None:
    champion = untrained(tmp_path / "champion", ("red", "green", "blue"))
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"))
    report = run(colors, tmp_path, champion, candidate, "--champion-version", "3")
    comparison = report["comparison"]
    assert (comparison["kind"], comparison["images"], comparison["champion_version"]) == ("same-classes", 12, 3)
    assert (comparison["candidate_accuracy"], comparison["only_champion_right"]) == (1.0, 0)
    assert comparison["only_candidate_right"] == 12 - round(12 * comparison["champion_accuracy"])
    assert report["improvement"] == comparison["difference"] == pytest.approx(1 - comparison["champion_accuracy"])
    assert report["gate"]["needs_person"] == 0


def test_a_champion_of_another_image_size_and_network_is_asked_at_its_own(colors: Path, tmp_path: Path) -> None:
    champion = untrained(tmp_path / "champion", ("blue", "green", "red"), image_size=96)
    report = run(colors, tmp_path, champion, by_color(tmp_path / "candidate", ("blue", "green", "red")))
    assert report["comparison"]["kind"] == "same-classes"
    assert report["champion"]["accuracy"] < 1


def test_a_champion_that_was_written_before_safetensors_is_asked_with_its_own_code(
    colors: Path, tmp_path: Path
) -> None:
    """Its artifact has model.pt, which nothing of ours reads any more, and code that does."""
    untrained(tmp_path / "champion", ("blue", "green", "red"))
    model = tmp_path / "champion/model"
    torch.save(load_file(model / "model.safetensors"), model / "model.pt")
    (model / "model.safetensors").unlink()
    code = (model / "code/inference.py").read_text()
    load = 'load_file(folder / "model.safetensors")'
    assert load in code
    old = 'torch.load(folder / "model.pt", map_location="cpu", weights_only=True)'
    (model / "code/inference.py").write_text(code.replace(load, old))
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"))
    report = run(colors, tmp_path, pack(model, tmp_path / "champion/artifact"), candidate)
    assert report["comparison"]["kind"] == "same-classes"
    assert "accuracy" in report["champion"]


def test_an_added_class_is_compared_on_the_classes_that_both_know(colors: Path, tmp_path: Path) -> None:
    champion = by_color(tmp_path / "champion", ("blue", "green"))
    report = run(colors, tmp_path, champion, by_color(tmp_path / "candidate", ("blue", "green", "red")))
    comparison = report["comparison"]
    assert (comparison["kind"], comparison["images"]) == ("shared-classes", 8)
    assert (comparison["classes"], comparison["added_classes"]) == (["blue", "green"], ["red"])
    assert comparison["candidate_accuracy"] == comparison["champion_accuracy"] == 1
    assert "1 class added (red); compared on the 8 test images of the 2 classes" in comparison["reason"]


def test_a_removed_class_does_not_count_against_the_champion(tmp_path: Path) -> None:
    """The champion answers red for a blue image that is darker than its red guess: among blue and green it is right."""
    data = prepare(write_pictures(tmp_path / "data", {"blue": 10, "green": 10}), tmp_path / "out", "--image-size", "16")
    always = """
    def answer(pixel):
        return {"red": 0.5, **{name: 0.5 * (pixel["rgb".index(name[0])] > 60) for name in ("green", "blue")}}
    """
    champion = by_color(tmp_path / "champion", ("blue", "green", "red"), always)
    report = run(data, tmp_path, champion, by_color(tmp_path / "candidate", ("blue", "green")))
    comparison = report["comparison"]
    assert (comparison["kind"], comparison["removed_classes"]) == ("shared-classes", ["red"])
    assert comparison["champion_accuracy"] == 1
    assert comparison["images"] == report["test"]["images"]


@pytest.mark.parametrize("classes", [("cat", "dog"), ("red", "dog")], ids=["no class", "one class"])
def test_what_shares_too_few_classes_is_not_compared_and_needs_a_person(
    colors: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    champion = by_color(tmp_path / "champion", classes)
    report = run(colors, tmp_path, champion, by_color(tmp_path / "candidate", ("blue", "green", "red")))
    assert report["comparison"]["kind"] == "no-shared-classes"
    assert "of its classes (" in report["comparison"]["reason"]
    assert report["gate"] == {"champion_margin": 0.0, "missed": 0, "refusal": "no gate was missed", "needs_person": 1}
    assert "accuracy" not in report["champion"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("raise RuntimeError('of another torch')", "its code cannot load it: RuntimeError: of another torch"),
        ("import no_such_package", "its code cannot load it: ModuleNotFoundError"),
        ("def model_fn(folder):\n    import os\n    os.kill(os.getpid(), 9)", "its process ended with signal 9"),
        ("def model_fn(folder):\n    import time\n    time.sleep(60)", "it is too slow: it did not answer within 3 s"),
        ("def output_fn(answers, accept):\n    return '[1, 2]'", "its code does not answer: AnswerError: output_fn"),
        ("def input_fn(body, kind):\n    raise KeyError(kind)", "it refuses every image: KeyError"),
    ],
    ids=["raises", "misses a package", "is killed", "hangs", "answers otherwise", "refuses all"],
)
def test_a_champion_that_cannot_be_asked_is_not_compared_and_the_reason_is_reported(
    colors: Path, tmp_path: Path, broken: str, reason: str
) -> None:
    champion = by_color(tmp_path / "champion", ("blue", "green", "red"), broken)
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"))
    report = run(colors, tmp_path, champion, candidate, "--champion-version", "7", "--model-seconds", "3")
    assert report["comparison"]["kind"] == "champion-unusable"
    assert reason in report["comparison"]["reason"]
    assert report["gate"]["needs_person"] == 1
    assert report["summary"]["comparison"].startswith("not compared with champion version 7: ")


def test_requirements_that_are_not_installed_are_named(colors: Path, tmp_path: Path) -> None:
    champion = by_color(tmp_path / "champion", ("blue", "green", "red"), "import no_such_package")
    model = tmp_path / "champion/model"
    (model / "code/requirements.txt").write_text(
        "--require-hashes\nno-such-package==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\n"
        "numpy==0.1 --hash=sha256:02\npillow\n"
    )
    report = run(colors, tmp_path, pack(model, champion), by_color(tmp_path / "candidate", ("blue", "green", "red")))
    assert "this job lacks no-such-package==1.0, numpy==0.1 (here is " in report["comparison"]["reason"]


@pytest.mark.parametrize("kind", ["damaged", "without code", "empty"])
def test_a_damaged_champion_is_not_compared(colors: Path, tmp_path: Path, kind: str) -> None:
    champion = tmp_path / "champion"
    champion.mkdir()
    if kind == "damaged":
        (champion / "model.tar.gz").write_bytes(b"no archive")
    elif kind == "without code":
        (tmp_path / "model").mkdir()
        pack(tmp_path / "model", champion)
    report = run(colors, tmp_path, champion, by_color(tmp_path / "candidate", ("blue", "green", "red")))
    assert report["comparison"]["kind"] == "champion-unusable"
    assert report["gate"]["needs_person"] == 1


def test_a_champion_whose_artifact_is_gone_is_not_compared(colors: Path, tmp_path: Path) -> None:
    options = ("--champion-state", "gone", "--champion-version", "2")
    report = run(colors, tmp_path, None, by_color(tmp_path / "candidate", ("blue", "green", "red")), *options)
    assert (report["comparison"]["kind"], report["comparison"]["champion_version"]) == ("champion-gone", 2)
    assert report["champion"] == {"present": True, "version": 2}
    assert report["gate"]["needs_person"] == 1


def test_code_that_takes_single_images_alone_is_asked_with_single_images(colors: Path, tmp_path: Path) -> None:
    single = """
    def input_fn(body, content_type):
        if content_type != "image/png":
            raise ValueError(content_type)
        return [body]
    """
    report = run(colors, tmp_path, None, by_color(tmp_path / "candidate", ("blue", "green", "red"), single))
    assert report["multiclass_classification_metrics"]["accuracy"]["value"] == 1


def test_an_image_that_the_models_code_refuses_counts_as_wrong_and_is_named(colors: Path, tmp_path: Path) -> None:
    picky = """
    def input_fn(body, content_type):
        images = [base64.b64decode(item["b64"]) for item in json.loads(body)["instances"]]
        for image in images:
            if Image.open(io.BytesIO(image)).resize((1, 1)).getpixel((0, 0))[0] > 60:
                raise ValueError("a red one")
        return images
    """
    report = run(colors, tmp_path, None, by_color(tmp_path / "candidate", ("blue", "green", "red"), picky))
    assert report["candidates"]["spot"]["refused"] == 4
    assert report["multiclass_classification_metrics"]["accuracy"]["value"] == pytest.approx(8 / 12)
    assert any("refused 4 test images" in warning for warning in report["warnings"])


def test_a_candidate_that_does_not_answer_fails_the_step_and_is_named(colors: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ComparisonError, match=r"candidate spot has no usable artifact: there is no model\.tar\.gz"):
        run(colors, tmp_path / "a", None, tmp_path / "empty")
    wrong = by_color(tmp_path / "wrong", ("blue", "green", "red"), "raise OSError('no weights')")
    with pytest.raises(ComparisonError, match=r"spot cannot be judged: OSError: no weights(.|\n)*hint: "):
        run(colors, tmp_path / "b", None, wrong)
    with pytest.raises(
        ComparisonError, match=r"spot knows other classes .*: 1 class added \(cat\), 1 .* removed \(red"
    ):
        run(colors, tmp_path / "c", None, by_color(tmp_path / "other", ("blue", "green", "cat")))


def test_all_missed_gates_are_named_with_version_images_and_settings(colors: Path, tmp_path: Path) -> None:
    champion = by_color(tmp_path / "champion", ("blue", "green", "red"))
    blind = "def answer(pixel):\n    return {'blue': 1.0, 'green': 0.0, 'red': 0.0}"
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"), blind)
    thresholds = ("--accuracy-threshold", "0.9", "--macro-f1-threshold", "0.5", "--class-recall-floor", "0.2")
    report = run(colors, tmp_path, champion, candidate, "--champion-version", "4", *thresholds)
    assert [gate["passed"] for gate in report["gates"]] == [False] * 4
    assert report["gate"]["missed"] == 4
    said = report["gate"]["refusal"]
    assert "accuracy 0.3333 on 12 test images is below accuracy_threshold = 0.9; " in said
    assert "against 1.0000 of champion version 4 on the same 12 test images, worse by 0.6667" in said
    assert "champion_tolerance = 0 (8 images only the champion gets right, 0 only the candidate; " in said
    assert "macro-F1 0.1667 on 12 test images is below macro_f1_threshold = 0.5; " in said
    assert "recall 0.0000 of class 'green' on 4 test images is below class_recall_floor = 0.2" in said
    assert any("not better than always answering 'blue'" in warning for warning in report["warnings"])


def test_a_tolerance_lets_a_candidate_that_is_a_little_worse_pass(colors: Path, tmp_path: Path) -> None:
    champion = by_color(tmp_path / "champion", ("blue", "green", "red"))
    blind = "def answer(pixel):\n    return {'blue': 1.0, 'green': 0.0, 'red': 0.0}"
    candidate = by_color(tmp_path / "candidate", ("blue", "green", "red"), blind)
    for tolerance, margin in (("0.7", 0.7 - 2 / 3), ("0.6666666666666666", 0.0)):
        report = run(colors, tmp_path, champion, candidate, "--champion-tolerance", tolerance)
        assert report["gate"]["champion_margin"] == pytest.approx(margin)
        assert report["gate"]["missed"] == 0


def test_imbalance_and_small_classes_are_warned_of(tmp_path: Path) -> None:
    data = prepare(write_pictures(tmp_path / "data", {"blue": 200, "red": 10}), tmp_path / "out", "--image-size", "16")
    report = run(data, tmp_path, None, by_color(tmp_path / "candidate", ("blue", "red")))
    warnings = " ".join(report["warnings"])
    assert "imbalanced: 30 test images of 'blue', 2 of 'red'" in warnings
    assert "1 of 2 classes have fewer than 10 test images" in warnings
    assert report["majority_class"] == {"class": "blue", "accuracy": pytest.approx(30 / 32)}


def test_what_a_version_carries_is_short_and_in_the_characters_that_sagemaker_takes() -> None:
    classes = tuple(f"it's, a «{index}» class (of many)" for index in range(30))
    warnings = ["'a' is rare, it is", "b" * 300]
    found = summary(classes, {"image_size": 16}, "compared (with all); «it»", warnings, "cat 0.9731")
    for value in found.values():
        assert 1 <= len(value) <= 256
        assert all(letter.isalnum() or letter in " _.:/=+-@" for letter in value), value
    assert found["classes"].startswith("30: its a _0_ class - of many / ")
    assert found["classes"].endswith(" / and more")
    assert found["classes_digest"] == summary(classes[::-1], {}, "", [], "none")["classes_digest"]
    assert (found["image_size"], found["network"]) == ("16", "not recorded")
    assert summary(("cat", "dog"), {}, "", [], "none")["classes"] == "2: cat / dog"


def test_the_test_files_are_the_ones_of_the_data_set_and_repeat(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"blue": 10, "red": 10})
    (data / "red/broken.png").write_bytes((data / "red/0.png").read_bytes()[:200])
    one, other = (
        prepare(data, tmp_path / name, "--image-size", "16", "--max-skipped-share", "0.2") for name in ("one", "other")
    )
    assert (one / "test-files/images.zip").read_bytes() == (other / "test-files/images.zip").read_bytes()
    listed = json.loads((one / "test-files/originals.json").read_text())
    assert sorted(image["class"] for image in listed["images"]) == ["blue"] * 2 + ["red"] * 2
    assert {f"{name}: {count}" for name, count in facts(one / "test")["counts"].items()} == {"blue: 2", "red: 2"}  # type: ignore[attr-defined]
    shutil.unpack_archive(one / "test-files/images.zip", tmp_path / "unpacked")
    for image in listed["images"]:
        assert (tmp_path / "unpacked" / image["file"]).read_bytes() == (data / image["name"]).read_bytes()


@pytest.mark.parametrize(("one", "other", "p"), [(0, 0, 1), (1, 0, 1), (5, 0, 0.0625), (3, 9, 0.1460), (0, 40, 2**-39)])
def test_the_paired_test_knows_how_many_images_decide(one: int, other: int, p: float) -> None:
    assert exact_mcnemar(one, other) == exact_mcnemar(other, one) == pytest.approx(p, rel=1e-3)
