"""A GPU that is paid for and cannot be used ends the training at once, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from errors import GpuError
from gpus import require_cuda

DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun Mar 23 2025\nGCC version:  gcc version 13\n"
HOST = {"SM_CURRENT_INSTANCE_TYPE": "ml.g4dn.xlarge", "SM_NUM_GPUS": "1"}


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    file = tmp_path / "version"
    file.write_text(DRIVER)
    return file


def test_without_cuda_a_gpu_host_is_refused_with_its_driver_and_the_images_cuda(driver: Path) -> None:
    with pytest.raises(GpuError) as refused:
        require_cuda(False, HOST, driver)
    said = str(refused.value)
    assert "ml.g4dn.xlarge has GPUs (1), and torch cannot use them: the host's driver is 570.133.20" in said
    assert f"torch {torch.__version__} with {f'CUDA {torch.version.cuda}' if torch.version.cuda else 'no CUDA'}" in said
    assert "\nhint: choose a training_image" in said


def test_a_driver_that_is_not_loaded_is_said(tmp_path: Path) -> None:
    with pytest.raises(GpuError, match="driver is not loaded"):
        require_cuda(False, HOST, tmp_path / "none")


def test_the_version_of_an_open_kernel_module_is_also_read(driver: Path) -> None:
    driver.write_text(
        DRIVER.replace("Kernel Module  ", "Open Kernel Module for x86_64  ").replace("x86_64 Open", "Open")
    )
    with pytest.raises(GpuError, match=r"driver is 570\.133\.20"):
        require_cuda(False, HOST, driver)


@pytest.mark.parametrize(
    ("available", "host"),
    [
        (True, HOST),
        (False, HOST | {"SM_NUM_GPUS": "0"}),  # a rehearsal on a machine without one
        (False, HOST | {"SM_CURRENT_INSTANCE_TYPE": "ml.m5.xlarge"}),  # your own GPU, which AWS does not bill
        (False, {}),
    ],
)
def test_nothing_else_is_refused(available: bool, host: dict[str, str], driver: Path) -> None:
    require_cuda(available, host, driver)
