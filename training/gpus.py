"""A host with GPUs that cannot be used: without this, the training would run on its CPUs at the GPUs' price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from errors import GpuError

DRIVER = Path("/proc/driver/nvidia/version")
GPU_TYPE = re.compile(r"ml\.[gp][0-9]")  # instance types with NVIDIA's GPUs; on others nobody pays for one
VERSION = re.compile(r"Kernel Module(?: for \S+)?\s+([0-9.]+)")


def require_cuda(available: bool, variables: Mapping[str, str], driver: Path = DRIVER) -> None:
    """`variables` are the toolkit's. Raises GpuError where the instance has GPUs and torch finds no CUDA.

    CUDA 13 needs a driver from 580 on, and runs on no Volta (ml.p3): NVIDIA's release notes.
    """
    kind, gpus = variables.get("SM_CURRENT_INSTANCE_TYPE", ""), int(variables.get("SM_NUM_GPUS", "0"))
    if available or not gpus or not GPU_TYPE.match(kind):
        return
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA: it is an image for CPUs"
    raise GpuError(
        f"{kind} has GPUs ({gpus}), and torch cannot use them: the host's driver is {_version(driver)}, and the image "
        f"has torch {torch.__version__} with {cuda}",
        hint="choose a training_image whose CUDA the driver knows (CUDA 13 needs 580 or newer), or another "
        "train_instance_type (ml.p3 is too old for CUDA 13), in environments.toml; then deploy",
    )


def _version(driver: Path) -> str:
    try:
        text = driver.read_text()
    except OSError:
        return "not loaded"
    found = VERSION.search(text)
    return found[1] if found else text.splitlines()[0]
