"""Answer requests with a trained model: the four functions that SageMaker's PyTorch containers call.

A request is one image, in any format that training takes and under any of the types in `takes_image`, or JSON:

    {"instances": [{"b64": "<base64 of an image>"}, ...]}

The answer has one entry per image, in their order. In JSON, an image that cannot be read has the reason in its place,
and the others are answered; an image that is the whole request raises BadRequest, which servers answer with 400:

    {"predictions": [{"label": "owl", "probability": 0.9, "probabilities": {"owl": 0.9, ...}},
                     {"error": "damaged image: image file is truncated"}]}

This file lies in `code/` of the artifact beside the modules that it imports, and needs torch 2.6 or later, numpy and
what requirements.txt names. It needs no serving toolkit, so any server may call it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

try:  # AWS's toolkit answers any other error with 500 and a traceback: sagemaker_inference/transformer.py
    from sagemaker_inference.errors import BaseInferenceToolkitError  # type: ignore[import-not-found,unused-ignore]
except ImportError:

    class BaseInferenceToolkitError(Exception):  # type: ignore[no-redef]
        """As there: an error that says with which status it is to be answered."""

        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            self.status_code, self.message, self.phrase = status_code, message, phrase


from images import Opened, UnreadableImage, fit_image, open_image
from model import ModelConfig, build

JSON = "application/json"
JSON_FORM = '{"instances": [{"b64": "<base64 of an image>"}, ...]}'
# Types that say nothing of the content, and none at all: the content decides.
OPAQUE_TYPES = {"", "application/octet-stream", "binary/octet-stream", "application/x-image"}
BATCH_SIZE = 256


class BadRequest(BaseInferenceToolkitError, ValueError):  # type: ignore[misc,unused-ignore]
    """The request cannot be answered, by the caller's fault."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message, "Bad Request")
        self.args = (message,)


@dataclass(frozen=True, slots=True)
class Model:
    network: nn.Module
    config: ModelConfig
    device: torch.device


@dataclass(frozen=True, slots=True)
class Prediction:
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]  # (readable images, classes)
    errors: dict[int, str] = field(default_factory=dict)  # why the others have none, by their place in the request


@dataclass(frozen=True, slots=True)
class Request:
    images: tuple[Opened | UnreadableImage, ...]
    is_json: bool  # each image has its own answer


def model_fn(model_dir: str) -> Model:
    """Load the model onto the GPU, if there is one. Raises ValueError when the folder holds none."""
    folder = Path(model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        config = ModelConfig.from_json((folder / "model.json").read_text("utf-8"))
        network = build(config)
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: the weights are those of another network
        raise ValueError(f"{folder} holds no model that can be loaded: {error}") from error
    return Model(network.eval().to(device), config, device)


def input_fn(body: bytes | str, content_type: str | None) -> Request:
    """Open the images of a request. Raises BadRequest when the whole request cannot be answered."""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if takes_image(media_type):
        try:
            image = open_image(body.encode("latin-1") if isinstance(body, str) else bytes(body))
        except UnreadableImage as error:
            raise BadRequest(str(error)) from error
        return Request((image,), is_json=False)
    if media_type != JSON:
        raise BadRequest(f"content type {content_type!r} is not supported; send image/jpeg, image/* or {JSON}")
    try:
        instances = json.loads(body)["instances"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRequest(f"the JSON body must be {JSON_FORM}") from error
    if not isinstance(instances, list):
        raise BadRequest(f"the JSON body must be {JSON_FORM}")
    if not instances:
        raise BadRequest("the JSON body holds no instances; send at least one")
    return Request(tuple(open_instance(instance) for instance in instances), is_json=True)


def takes_image(media_type: str) -> bool:
    return media_type.startswith("image/") or media_type in OPAQUE_TYPES


def open_instance(instance: Any) -> Opened | UnreadableImage:
    """One image of a JSON request, or why it cannot be read."""
    text = instance.get("b64") if isinstance(instance, dict) else None
    if not isinstance(text, str):
        return UnreadableImage('not of the form {"b64": "<base64 of an image>"}')
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error, or text that is not ASCII
        return UnreadableImage(f"not base64: {error}")
    try:
        return open_image(content)
    except UnreadableImage as error:
        return error


def predict_fn(request: Request, model: Model) -> Prediction:
    """Classify the readable images. Raises BadRequest when the one image of a request cannot be decoded."""
    arrays, errors = [], {}
    for index, image in enumerate(request.images):
        try:
            if isinstance(image, UnreadableImage):
                raise image
            arrays.append(fit_image(image, model.config.image_size))
        except UnreadableImage as error:
            if not request.is_json:
                raise BadRequest(str(error)) from error
            errors[index] = str(error)
    if not arrays:
        return Prediction(model.config.classes, np.empty((0, len(model.config.classes)), np.float32), errors)
    return replace(predict(np.stack(arrays), model), errors=errors)


def predict(arrays: NDArray[np.uint8], model: Model) -> Prediction:
    """Classify prepared images (n, size, size, 3), a batch at a time."""
    probabilities = []
    with torch.inference_mode():
        for start in range(0, len(arrays), BATCH_SIZE):
            batch = torch.from_numpy(np.ascontiguousarray(arrays[start : start + BATCH_SIZE])).to(model.device)
            logits = model.network(batch.permute(0, 3, 1, 2))  # a channels-last view: nothing is copied
            probabilities.append(logits.float().softmax(1).cpu().numpy())
    return Prediction(model.config.classes, np.concatenate(probabilities))


def output_fn(prediction: Prediction, accept: str | None) -> str:
    """Write the answer as JSON; the probabilities are rounded to 6 digits."""
    wanted = {part.partition(";")[0].strip().lower() for part in (accept or "").split(",")}
    if not wanted & {JSON, "application/*", "*/*", ""}:
        raise BadRequest(f"cannot answer with {accept!r}; accept {JSON}")
    rows = iter(prediction.probabilities)
    predictions: list[dict[str, Any]] = []
    for index in range(len(prediction.probabilities) + len(prediction.errors)):
        if index in prediction.errors:
            predictions.append({"error": prediction.errors[index]})
            continue
        row = next(rows)
        probabilities = {label: round(float(p), 6) for label, p in zip(prediction.classes, row, strict=True)}
        label = prediction.classes[int(row.argmax())]
        predictions.append({"label": label, "probability": probabilities[label], "probabilities": probabilities})
    return json.dumps({"predictions": predictions})
