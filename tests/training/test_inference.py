"""The artifact answers requests without other code, and says what is wrong with bad requests."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from image_samples import write_digits
from odd_images import damaged_image, odd_image
from PIL import Image

import artifact
import inference
from dataset import read_split
from errors import TrainingError
from inference import Model, input_fn, model_fn, output_fn, predict, predict_fn
from model import ModelConfig, build

# What a server does, in a process that sees the artifact alone.
SERVER = """
import sys
from pathlib import Path
model_dir, content_type, body = sys.argv[1:]
sys.path.insert(0, str(Path(model_dir) / "code"))
from inference import input_fn, model_fn, output_fn, predict_fn
assert Path(sys.modules["model"].__file__).parent == Path(model_dir) / "code"
model = model_fn(model_dir)
images = input_fn(Path(body).read_bytes(), content_type)
print(output_fn(predict_fn(images, model), "application/json"))
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def model(digits_model: Path) -> Model:
    return model_fn(str(digits_model))


def instances(*contents: bytes) -> bytes:
    return json.dumps({"instances": [{"b64": base64.b64encode(content).decode()} for content in contents]}).encode()


def test_a_fresh_process_with_the_artifact_alone_classifies(digits_model: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_model, tmp_path / "model")
    arguments = [str(tmp_path / "model"), "image/jpeg", str(pictures / "3/3.jpg")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-B", "-W", "error", "-c", SERVER, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    (prediction,) = json.loads(result.stdout)["predictions"]
    assert prediction["label"] == "3"
    assert prediction["probability"] == prediction["probabilities"]["3"] > 0.5
    assert list(prediction["probabilities"]) == [str(digit) for digit in range(10)]


def answer(body: bytes, content_type: str | None, model: Model) -> list[dict[str, Any]]:
    predictions: list[dict[str, Any]] = json.loads(
        output_fn(predict_fn(input_fn(body, content_type), model), "application/json")
    )["predictions"]
    return predictions


def test_one_jpeg_one_png_and_many_in_json_get_the_same_answers(model: Model, pictures: Path, tmp_path: Path) -> None:
    paths = [pictures / name for name in ("0/0.jpg", "1/1.jpg", "2/2.jpg")]
    many = answer(instances(*(path.read_bytes() for path in paths)), "application/json", model)
    assert [prediction["label"] for prediction in many] == ["0", "1", "2"]
    for path, prediction in zip(paths, many, strict=True):
        (one,) = answer(path.read_bytes(), "image/jpeg", model)
        assert one["probabilities"] == pytest.approx(prediction["probabilities"], abs=2e-6)
        Image.open(path).save(tmp_path / "same.png")
        assert answer((tmp_path / "same.png").read_bytes(), "image/png", model) == [one]


def test_a_served_image_is_prepared_as_the_training_images_were(model: Model, digits: Path, pictures: Path) -> None:
    data = read_split(digits / "test")
    prepared = predict(data.images, model).probabilities
    body = instances(*(path.read_bytes() for path in pictures.rglob("*.jpg")))
    served = predict_fn(input_fn(body, "application/json"), model)
    nearest = np.abs(prepared[:, None] - served.probabilities).max(2).min(1)
    assert nearest.max() < 1e-5


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"", "image/jpeg", "an empty file"),
        (b"no image", "image/png", "not one of JPEG, PNG"),
        (b"no image", None, "not one of JPEG, PNG"),
        (b"<svg/>", "image/svg+xml", "an SVG drawing; convert it to JPEG or PNG"),
        (b"{}", "application/json", 'the JSON body must be {"instances"'),
        (b'{"instances": [', "application/json", 'the JSON body must be {"instances"'),
        (b'{"instances": {"b64": ""}}', "application/json", 'the JSON body must be {"instances"'),
        (b"[" * 100_000, "application/json", 'the JSON body must be {"instances"'),
        (b'{"instances": []}', "application/json", "no instances"),
        (b"1,2,3", "text/csv", "content type 'text/csv' is not supported; send image/jpeg, image/\\* or"),
    ],
)
def test_bad_requests_are_answered_with_what_is_wrong(body: bytes, content_type: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        input_fn(body, content_type)


def test_in_a_batch_a_bad_image_answers_for_itself_alone(model: Model, pictures: Path) -> None:
    content = (pictures / "3/3.jpg").read_bytes()
    request = json.loads(instances(content, content[:-40], b"no image", content))
    request["instances"] += [{"b64": "?"}, {"b64": "\u00e9"}, {"b64": 3}, "3", {}]
    first, cut, other, last, *wrong = answer(json.dumps(request).encode(), "application/json; charset=utf-8", model)
    assert first == last
    assert first["label"] == "3"
    assert list(cut) == list(other) == ["error"]
    assert "damaged image: image file is truncated" in cut["error"]
    assert "not one of JPEG, PNG" in other["error"]
    assert [entry["error"][:10] for entry in wrong] == [
        "not base64",
        "not base64",
        "not of the",
        "not of the",
        "not of the",
    ]


def test_a_batch_of_bad_images_alone_is_answered(model: Model) -> None:
    assert list(answer(instances(b"no image"), "application/json", model)[0]) == ["error"]


def test_a_damaged_image_that_is_the_whole_request_is_an_error(model: Model, pictures: Path) -> None:
    request = input_fn((pictures / "3/3.jpg").read_bytes()[:-40], "image/jpeg")
    with pytest.raises(ValueError, match=r"^damaged image: image file is truncated"):
        predict_fn(request, model)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_the_endpoint_takes_what_training_takes(form: str, model: Model, pictures: Path, tmp_path: Path) -> None:
    """The content decides, not the type that the caller names."""
    options = {"lossless": True} if form == "WEBP" else {"quality": 95} if form == "AVIF" else {}
    Image.open(pictures / "3/3.jpg").save(tmp_path / "image", form, **options)
    content = (tmp_path / "image").read_bytes()
    types = ["image/jpeg", "image/jpg", f"image/{form.lower()}", "IMAGE/PNG", "image/*", "application/x-image",
             "application/octet-stream", "", None]  # fmt: skip
    answers = [answer(content, kind, model) for kind in types]
    assert answers[0][0]["label"] == "3"
    assert all(each == answers[0] for each in answers)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of most of these
def test_odd_files_get_an_answer_or_a_reason_but_never_an_accident(model: Model) -> None:
    for number in range(150):
        for image in (odd_image(number), damaged_image(number)):
            try:
                (entry,) = answer(image.content, "application/octet-stream", model)
            except ValueError as error:
                assert not image.sound, image.name
                entry = {"error": str(error)}
            assert answer(instances(image.content), "application/json", model) == [entry], image.name


def test_an_answer_is_json_or_an_error(model: Model, pictures: Path) -> None:
    prediction = predict_fn(input_fn((pictures / "3/3.jpg").read_bytes(), "image/jpeg"), model)
    assert output_fn(prediction, "text/html, application/json;q=0.9") == output_fn(prediction, "*/*")
    with pytest.raises(ValueError, match="cannot answer with 'text/csv'; accept application/json"):
        output_fn(prediction, "text/csv")


def test_a_folder_without_a_whole_model_is_refused(digits_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    with pytest.raises(ValueError, match="holds no model"):
        model_fn(str(model))
    shutil.copytree(digits_model, model)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ValueError, match="holds no model"):
        model_fn(str(model))
    torch.save({"weights": torch.zeros(3)}, weights)
    with pytest.raises(ValueError, match="holds no model"):
        model_fn(str(model))
    (model / "model.json").write_text((model / "model.json").read_text().replace("small-cnn", "huge-cnn"))
    with pytest.raises(ValueError, match="network 'huge-cnn'; known are small-cnn"):
        model_fn(str(model))


def test_the_wheels_of_the_code_archive_go_with_the_model(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that reaches no index of packages installs from them."""
    code = tmp_path / "code"
    shutil.copytree(artifact.CODE, code, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "wheels").mkdir()
    (code / "wheels/pillow-1-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.setattr(artifact, "CODE", code)
    artifact.write_model(tmp_path / "model", model.network, model.config, {})
    assert [path.name for path in (tmp_path / "model/code/wheels").iterdir()] == ["pillow-1-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("requirements", "written"),
    [
        (None, "timm==1.0\n"),
        ("pillow==13.0.0\n", "pillow==13.0.0\ntimm==1.0\n"),
        ("pillow==13.0.0\nTimm==0.9\n", "pillow==13.0.0\nTimm==0.9\n"),
        ("timm==1.0 \\\n    --hash=sha256:00\n", "timm==1.0 \\\n    --hash=sha256:00\n"),
        ("# without --hash\n", "# without --hash\ntimm==1.0\n"),
        ("pillow==13.0.0 \\\n    --hash=sha256:00\n", None),
        ("--require-hashes\n", None),
    ],
)
def test_what_a_network_needs_is_added_to_the_artifacts_requirements_or_has_to_be_there_with_its_hash(
    requirements: str | None, written: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line without a hash beside one that has it, and no endpoint would start."""
    if requirements is not None:
        (tmp_path / "requirements.txt").write_text(requirements)
    monkeypatch.setattr(artifact, "CODE", tmp_path)
    monkeypatch.setattr(artifact, "needed_packages", lambda config: ["timm==1.0"])
    config = ModelConfig("timm:resnet18", ("a", "b"), 32, (0.5,) * 3, (0.5,) * 3)
    if written is not None:
        assert artifact.requirements_of(config) == written
        return
    with pytest.raises(TrainingError, match=r"has hashes and does not name timm==1\.0(.|\n)*hint: write it into"):
        artifact.requirements_of(config)


def test_an_artifact_is_written_over_one_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its wheels; a training that was killed after it had written the first is started again."""
    shutil.copytree(artifact.CODE, tmp_path / "training", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "training/wheels").mkdir()
    (tmp_path / "training/wheels/some.whl").touch()
    monkeypatch.setattr(artifact, "CODE", tmp_path / "training")
    config = ModelConfig("small-cnn", ("a", "b"), 32, (0.5,) * 3, (0.5,) * 3)
    for _ in range(2):
        artifact.write_model(tmp_path / "model", build(config), config, {})
    assert (tmp_path / "model/code/wheels/some.whl").exists()
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"model.safetensors", "model.json", "code"}


@pytest.mark.parametrize("installed", [True, False])
def test_a_bad_request_is_an_error_that_awss_toolkit_answers_with_400(
    monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """The toolkit itself is not here. Its transformer looks for this class, and answers with its status_code:
    aws/sagemaker-inference-toolkit, src/sagemaker_inference/errors.py and transformer.py.
    """

    class BaseInferenceToolkitError(Exception):
        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            self.status_code, self.message, self.phrase = status_code, message, phrase

    toolkit = ModuleType("sagemaker_inference.errors")
    toolkit.BaseInferenceToolkitError = BaseInferenceToolkitError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sagemaker_inference", ModuleType("sagemaker_inference"))
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", toolkit if installed else None)
    spec = importlib.util.spec_from_file_location("inference_again", inference.__file__)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "inference_again", loaded)
    spec.loader.exec_module(loaded)
    for body, content_type in ((b"no image", "image/jpeg"), (b"{}", "application/json"), (b"a", "text/csv")):
        with pytest.raises(loaded.BadRequest) as refused:
            loaded.input_fn(body, content_type)
        assert isinstance(refused.value, BaseInferenceToolkitError) == installed
        assert (refused.value.status_code, refused.value.message) == (400, str(refused.value))
