"""Answer requests with a trained model: the four functions that SageMaker's PyTorch containers call.

Lies in `code/` of the artifact beside `model.py` and `images.py`, and needs torch 2.6 or later, numpy and what
requirements.txt names. No serving toolkit is imported, so any server may call these. Bad input raises ValueError with a
message for the caller.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from images import Opened, fit_image, open_image
from model import ModelConfig, build

IMAGE_TYPES = ("image/jpeg", "image/png")
BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class Model:
    network: nn.Module
    config: ModelConfig
    device: torch.device


@dataclass(frozen=True, slots=True)
class Prediction:
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]  # (n, classes)


def model_fn(model_dir: str) -> Model:
    """Load `model.json` and `model.pt` onto the GPU, if there is one. Raises ValueError when they are not a model."""
    folder = Path(model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        config = ModelConfig.from_json((folder / "model.json").read_text("utf-8"))
        network = build(config)
        network.load_state_dict(torch.load(folder / "model.pt", map_location="cpu", weights_only=True))
    # load_state_dict and a damaged file raise RuntimeError; anything but weights, pickle.UnpicklingError.
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{folder} holds no model that can be loaded: {error}") from error
    return Model(network.eval().to(device), config, device)


def input_fn(body: bytes | str, content_type: str) -> list[Opened]:
    """The images of a request: one JPEG or PNG, or JSON `{"instances": [{"b64": "<base64 of an image>"}, ...]}`."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in IMAGE_TYPES:
        return [open_image(body.encode("latin-1") if isinstance(body, str) else bytes(body))]
    if media_type != "application/json":
        raise ValueError(
            f"content type {content_type!r} is not supported; send {', '.join(IMAGE_TYPES)} or application/json"
        )
    try:
        instances = [instance["b64"] for instance in json.loads(body)["instances"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError('the JSON body must be {"instances": [{"b64": "<base64 of an image>"}, ...]}') from error
    if not instances:
        raise ValueError("the JSON body holds no instances; send one at least")
    return [open_instance(index, text) for index, text in enumerate(instances)]


def open_instance(index: int, text: str) -> Opened:
    try:
        return open_image(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError) as error:
        raise ValueError(f"instance {index} is not base64: {error}") from error
    except ValueError as error:
        raise ValueError(f"instance {index}: {error}") from error


def predict_fn(images: Sequence[Opened], model: Model) -> Prediction:
    """Raises ValueError, which names the image by its index, when one is damaged."""
    arrays = []
    for index, image in enumerate(images):
        try:
            arrays.append(fit_image(image, model.config.image_size))
        except ValueError as error:
            raise ValueError(f"instance {index}: {error}") from error
    return predict(np.stack(arrays), model)


def predict(arrays: NDArray[np.uint8], model: Model) -> Prediction:
    """Classify prepared images (n, size, size, 3), a batch at a time."""
    probabilities = []
    with torch.inference_mode():
        for start in range(0, len(arrays), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(arrays[start : start + BATCH_SIZE])).to(model.device)
            logits = model.network(batch.permute(0, 3, 1, 2))  # a channels-last view: nothing is copied
            probabilities.append(logits.float().softmax(1).cpu().numpy())
    return Prediction(model.config.classes, np.concatenate(probabilities))


def output_fn(prediction: Prediction, accept: str) -> str:
    """The answer as JSON; the probabilities are rounded to 6 digits."""
    wanted = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if not wanted & {"application/json", "application/*", "*/*", ""}:
        raise ValueError(f"cannot answer with {accept!r}; accept application/json")
    predictions = []
    for row in prediction.probabilities:
        best = int(row.argmax())
        probabilities = {label: round(float(p), 6) for label, p in zip(prediction.classes, row, strict=True)}
        label = prediction.classes[best]
        predictions.append({"label": label, "probability": probabilities[label], "probabilities": probabilities})
    return json.dumps({"predictions": predictions})
