"""Ask a model about the test images with the code that its own artifact carries, in a separate process.

A model line lives for years, and its code changes: the champion's network may be gone from our model.py, and its
image size may be another one. So our modules take no part in its answers. The process cannot import them, has a time
limit, and can crash without ending the evaluation.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

import ask_model
from archive import unpack
from errors import ArchiveError
from originals import Originals

ARTIFACT = "model.tar.gz"
REASON_CHARACTERS = 400  # of an error's text: failure reasons and notices quote it beside other facts
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:==\s*([^\s;#]+))?")


class JudgeError(Exception):
    """A model gives no answers: `kind` is artifact, load, answer or time; the text is the reason."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of each image. `classes` are those that it knows, in the order of its probabilities."""

    classes: tuple[str, ...]
    labels: tuple[str | None, ...]  # None: the model's code refused the image
    probabilities: NDArray[np.float32] | None  # (images, classes); None when the code answers with labels alone
    refused: tuple[tuple[int, str], ...]  # index of the image, reason
    about: dict[str, Any]  # model.json, empty when there is none


def judge(folder: Path, test: Originals, seconds: float) -> Answers:
    """Answers of the model whose artifact lies in `folder`. Raises JudgeError."""
    if not (folder / ARTIFACT).is_file():
        raise JudgeError("artifact", f"there is no {ARTIFACT} in {folder}")
    with tempfile.TemporaryDirectory() as scratch:
        model, answers = Path(scratch) / "model", Path(scratch) / "answers.jsonl"
        try:
            unpack(folder / ARTIFACT, model)
        except ArchiveError as error:
            raise JudgeError("artifact", str(error).partition("\n")[0]) from error
        if not (model / "code/inference.py").is_file():
            raise JudgeError("load", "the artifact carries no code/inference.py")
        run(model, test, answers, seconds)
        about = read_about(model)
        with answers.open(encoding="utf-8") as lines:
            return read_answers(lines, about, len(test))


def run(model: Path, test: Originals, answers: Path, seconds: float) -> None:
    """Raises JudgeError, with the end of what the process wrote to stderr."""
    environment = environment_without(Path(__file__).parent)
    command = [sys.executable, "-P", "-B", ask_model.__file__, str(model), str(test.archive.resolve()), str(answers)]
    with tempfile.TemporaryFile() as errors:
        try:
            # In its own folder: code that opens a file by a relative name finds none of ours.
            done = subprocess.run(
                command, cwd=model, env=environment, stdin=subprocess.DEVNULL, stderr=errors, timeout=seconds
            )
        except subprocess.TimeoutExpired as error:
            raise JudgeError("time", f"it did not answer within {seconds:.0f} s") from error
        finally:
            said = end_of(errors)
            print(said, end="", file=sys.stderr, flush=True)
    if done.returncode == 0:
        return
    last = last_line(answers)
    if "failed" in last:
        reason = shortened(last["reason"])
        missing = missing_requirements(model / "code/requirements.txt") if last["failed"] == "load" else []
        if missing:
            reason += f" (of its requirements, this job lacks {', '.join(missing)})"
        raise JudgeError(last["failed"], reason)
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    lines = said.strip().splitlines()
    raise JudgeError("answer", f"its process ended with {ended}" + (f": {shortened(lines[-1])}" if lines else ""))


def environment_without(ours: Path) -> dict[str, str]:
    """PYTHONPATH may name where the job's requirements are installed; only the folder of our modules is taken out."""
    environment = dict(os.environ)
    folders = environment.pop("PYTHONPATH", "").split(os.pathsep)
    others = [folder for folder in folders if folder and Path(folder).resolve() != ours.resolve()]
    return environment | ({"PYTHONPATH": os.pathsep.join(others)} if others else {})


def read_answers(lines: IO[str], about: dict[str, Any], count: int) -> Answers:
    """Raises JudgeError when no image was answered, or not each."""
    labels: list[str | None] = []
    rows: list[NDArray[np.float32] | None] = []
    refused: list[tuple[int, str]] = []
    classes: tuple[str, ...] = ()
    for line in lines:
        answer = json.loads(line)
        probabilities = answer.get("probabilities")
        if probabilities and not classes:
            classes = tuple(probabilities)
        if probabilities and set(probabilities) != set(classes):
            raise JudgeError("answer", "it gives probabilities of other classes for one image than for another")
        if "label" not in answer:
            refused.append((len(labels), answer.get("refused", "")))
        labels.append(answer.get("label"))
        rows.append(np.array([probabilities[name] for name in classes], np.float32) if probabilities else None)
    if len(labels) != count:
        raise JudgeError("answer", f"it answered {len(labels)} of {count} images")
    if len(refused) == count:
        raise JudgeError("answer", f"it refuses every image: {shortened(refused[0][1])}")
    answered = [row for row, label in zip(rows, labels, strict=True) if label is not None]
    matrix = None
    if classes and all(row is not None for row in answered):
        matrix = np.zeros((count, len(classes)), np.float32)
        for index, row in enumerate(rows):
            if row is not None:
                matrix[index] = row
    known = classes or tuple(about.get("classes", ())) or tuple(sorted({label for label in labels if label}))
    return Answers(known, tuple(labels), matrix, tuple(refused), about)


def read_about(model: Path) -> dict[str, Any]:
    try:
        document = json.loads((model / "model.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # a model of other code need not have one
    return document if isinstance(document, dict) else {}


def missing_requirements(path: Path) -> list[str]:
    """Requirements that are not installed here, or in another version than the pinned one."""
    missing = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        line = re.split(r"[#\\]|\s--hash", line)[0].strip()  # its hashes are pip's to look at
        match = REQUIREMENT.match(line)
        if match is None:
            continue
        name, version = match.groups()
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(line)
            continue
        if version and here != version:
            missing.append(f"{line} (here is {here})")
    return missing


def last_line(path: Path) -> dict[str, Any]:
    lines: Sequence[str] = path.read_text("utf-8").splitlines() if path.is_file() else ()
    try:
        line = json.loads(lines[-1]) if lines else {}
    except ValueError:  # the process ended in the middle of it
        return {}
    return line if isinstance(line, dict) else {}


def end_of(file: IO[bytes], most: int = 16_384) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - most))
    return file.read().decode("utf-8", "replace")


def shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"
