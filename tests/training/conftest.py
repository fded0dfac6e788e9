from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from image_samples import TRAINING, finish, prepare, start, write_digits, write_pictures
from started_processes import starts_process


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Weights repeat for a given number of threads. A training in this process takes over SIGTERM, and torch's choice
    of kernels: give them back."""
    handler, deterministic = signal.getsignal(signal.SIGTERM), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.use_deterministic_algorithms(deterministic)


@pytest.fixture(scope="session")
def colors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 30 images of 16 pixels, prepared: 66 to train, 12 to validate, 12 to test."""
    data = write_pictures(tmp_path_factory.mktemp("colors"), {"blue": 30, "green": 30, "red": 30})
    return prepare(data, tmp_path_factory.mktemp("prepared"), "--image-size", "16")


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scikit-learn's 1,797 real digits as JPEGs of 32 pixels, prepared with the default options."""
    return prepare(write_digits(tmp_path_factory.mktemp("digits")), tmp_path_factory.mktemp("prepared-digits"))


@pytest.fixture(scope="session")
@starts_process
def digits_model(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a training with the default hyperparameters."""
    folder = tmp_path_factory.mktemp("digits-model")
    data = ("--train", digits / "train", "--validation", digits / "validation")
    finish(start(TRAINING / "train.py", *data, "--model-dir", folder))
    return folder
