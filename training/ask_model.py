"""python -P ask_model.py MODEL_DIR IMAGES.zip ANSWERS

Ask one model about every image of an archive, through the four functions of the code that the model itself carries:
model_fn, input_fn, predict_fn and output_fn of code/inference.py, as SageMaker's PyTorch container calls them.

ANSWERS gets one JSON object a line: {"label": ..., "probabilities": {...}} for an image, {"refused": reason} for one
that the model's code does not take, and {"failed": phase, "reason": ...} as the last line when it cannot go on. Runs in
a separate process, beside none of our modules: `-P` keeps this file's folder off the import path. Standard library
only, because a model may carry the code of years ago.
"""

from __future__ import annotations

import base64
import importlib
import json
import sys
import traceback
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

Answer = dict[str, Any]

# A batch ends at the first of these. Requests of 6 MB are the most that an endpoint takes, and base64 adds a third.
MOST_IMAGES, MOST_BYTES = 32, 4 * 10**6
MAGIC = (
    (b"\xff\xd8", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"RIFF", "image/webp"),
)
JSON = "application/json"


class AnswerError(ValueError):
    """The model's code answers in a form that cannot be read."""


def main(model_dir: str, archive: str, answers: str) -> int:
    with open(answers, "w", encoding="utf-8") as file:

        def write(line: Answer) -> None:
            file.write(json.dumps(line) + "\n")

        phase = "load"
        try:
            sys.path.insert(0, model_dir + "/code")
            code = importlib.import_module("inference")
            model = code.model_fn(model_dir)
            phase = "answer"
            for answer in answers_to(code, model, archive):
                write(answer)
        except BaseException as error:
            traceback.print_exc()
            write({"failed": phase, "reason": f"{type(error).__name__}: {error}"})
            return 1
    return 0


def answers_to(code: Any, model: Any, archive: str) -> Iterator[Answer]:
    """One answer an image. A batch that the code refuses is asked image by image, and at last as the image itself."""
    as_json = True
    for images in batches(archive):
        if as_json:
            try:
                yield from ask(code, model, json_of(images), JSON, len(images))
                continue
            except AnswerError:
                raise
            except Exception:  # whatever the code raises for one image of the batch
                found = [ask_one(code, model, json_of([image]), JSON) for image in images]
            if any("label" in answer for answer in found):
                yield from found
                continue
        raw = [ask_one(code, model, image, content_type(image)) for image in images]
        if any("label" in answer for answer in raw):
            as_json = False  # this code takes images as they are, and no JSON
        yield from raw


def ask_one(code: Any, model: Any, body: bytes, media_type: str) -> Answer:
    try:
        (answer,) = ask(code, model, body, media_type, 1)
    except AnswerError:
        raise
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return answer


def ask(code: Any, model: Any, body: bytes, media_type: str, count: int) -> list[Answer]:
    answer = code.output_fn(code.predict_fn(code.input_fn(body, media_type), model), JSON)
    if isinstance(answer, tuple):  # with the content type, which SageMaker's toolkit takes as well
        answer = answer[0]
    try:
        predictions = json.loads(answer)["predictions"]
        if len(predictions) != count:
            raise ValueError(f"{len(predictions)} predictions for {count} images")
        return [read(prediction) for prediction in predictions]
    except (ValueError, KeyError, TypeError) as error:
        form = '{"predictions": [{"label": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}}]}'
        raise AnswerError(f"output_fn answered {str(answer)[:200]!r}, which is not like {form} ({error})") from error


def read(prediction: Answer) -> Answer:
    if "label" in prediction:
        return {"label": prediction["label"], "probabilities": prediction.get("probabilities")}
    return {"refused": str(prediction["error"])}


def batches(archive: str) -> Iterator[list[bytes]]:
    with zipfile.ZipFile(archive) as file:
        images: list[bytes] = []
        size = 0
        for member in file.infolist():
            if images and (len(images) == MOST_IMAGES or size + member.file_size > MOST_BYTES):
                yield images
                images, size = [], 0
            images.append(file.read(member))
            size += member.file_size
        if images:
            yield images


def json_of(images: Sequence[bytes]) -> bytes:
    return json.dumps({"instances": [{"b64": base64.b64encode(image).decode()} for image in images]}).encode()


def content_type(image: bytes) -> str:
    return next((name for magic, name in MAGIC if image.startswith(magic)), "application/octet-stream")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
