"""What a training leaves: the weights, the document that they are rebuilt from, and the code that serves them."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from checkpoint import on_host
from errors import TrainingError
from model import ModelConfig, needed_packages
from tensor_file import write_whole

CODE = Path(__file__).resolve().parent
WEIGHTS = "model.safetensors"
SERVED_FILES = ("inference.py", "model.py", "backbone.py", "images.py", "formats.py", "orientation.py", "salvage.py")


def refuse_unwritable(folder: Path) -> None:
    """Before hours are spent on a model that could not be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise TrainingError(
            f"the model cannot be written to {folder}: {error.strerror}",
            hint="--model-dir has to be a folder that this process may write to; SageMaker's is /opt/ml/model",
        ) from error


def write_model(folder: Path, model: nn.Module, config: ModelConfig, facts: dict[str, Any]) -> None:
    (folder / "code").mkdir(parents=True, exist_ok=True)
    # A copy of each: the format refuses weights that two layers share.
    weights = {name: value.contiguous() for name, value in on_host(model.state_dict()).items()}
    write_whole(weights, folder / WEIGHTS)
    (folder / "model.json").write_text(config.to_json(**facts), "utf-8")
    for name in SERVED_FILES:
        shutil.copyfile(CODE / name, folder / "code" / name)
    if (CODE / "wheels").is_dir():  # for an endpoint that reaches no index of packages
        shutil.copytree(CODE / "wheels", folder / "code" / "wheels", dirs_exist_ok=True)
    (folder / "code/requirements.txt").write_text(requirements_of(config), "utf-8")


def requirements_of(config: ModelConfig) -> str:
    """What the endpoint installs. Raises TrainingError for a package that pip would refuse there for want of a hash."""
    path = CODE / "requirements.txt"
    text = path.read_text("utf-8") if path.is_file() else ""
    named = {normal(name) for name in re.findall(r"^[A-Za-z0-9][\w.-]*", text, re.MULTILINE)}
    more = [package for package in needed_packages(config) if normal(package.partition("==")[0]) not in named]
    if more and re.search(r"^[^#\n]*--(hash|require-hashes)\b", text, re.MULTILINE):
        raise TrainingError(
            f"requirements.txt has hashes and does not name {', '.join(more)}, which the endpoint needs with one",
            hint="write it into training/requirements.in, then `make lock`",
        )
    return "".join([text, "" if text.endswith("\n") or not text else "\n", *(f"{package}\n" for package in more)])


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
