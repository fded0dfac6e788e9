"""What a training leaves: the weights, the document that they are rebuilt from, and the code that serves them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import nn

from checkpoint import save_whole
from errors import TrainingError
from model import ModelConfig, needed_packages

CODE = Path(__file__).resolve().parent
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
    save_whole({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, folder / "model.pt")
    (folder / "model.json").write_text(config.to_json(**facts), "utf-8")
    for name in SERVED_FILES:
        shutil.copyfile(CODE / name, folder / "code" / name)
    requirements = (CODE / "requirements.txt").read_text("utf-8").splitlines()
    if (CODE / "wheels").is_dir():  # for an endpoint that reaches no index of packages
        shutil.copytree(CODE / "wheels", folder / "code" / "wheels", dirs_exist_ok=True)
    (folder / "code/requirements.txt").write_text("\n".join([*requirements, *needed_packages(config)]) + "\n", "utf-8")
