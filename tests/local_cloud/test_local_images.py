"""The virtual environments that stand for images."""

import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local_cloud.sagemaker.images import image


def test_jobs_that_need_an_image_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    """The first run of two lanes is such a moment."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path), range(8)))
    assert len(found) == 1
    assert [*tmp_path.iterdir()] == [*found]  # no drafts are left


THIS = f"cp3{sys.version_info.minor}"
NEXT = f"cp3{sys.version_info.minor + 1}"


@pytest.mark.parametrize(
    ("tags", "fits"),
    [
        (f"{THIS}-{THIS}-manylinux_2_28_x86_64", True),
        ("py2.py3-none-any", True),
        ("cp38-abi3-manylinux_2_28_x86_64", True),
        (f"{NEXT}-{NEXT}-manylinux_2_28_x86_64", False),
        (f"{NEXT}-abi3-manylinux_2_28_x86_64", False),
        ("cp38-cp38-manylinux_2_28_x86_64", False),
    ],
)
def test_a_wheel_for_another_python_is_not_installed(tmp_path: Path, tags: str, fits: bool) -> None:
    """As on AWS, where the image may have another Python than this machine."""
    root = image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path / "images")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "target").mkdir()
    with zipfile.ZipFile(tmp_path / f"wheels/owl-1.0-{tags}.whl", "w") as wheel:
        wheel.writestr("owl.py", "")
    command = ["-m", "pip", "install", "--no-index", "--find-links", str(tmp_path / "wheels"), "owl==1.0"]
    done = subprocess.run(
        [root / "bin/python", *command], env={**os.environ, "PIP_TARGET": str(tmp_path / "target")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (tmp_path / "target/owl.py").exists() is fits
    assert (done.returncode == 0) is fits
    assert (
        fits or "ERROR: Could not find a version that satisfies the requirement owl==1.0 for Python 3." in done.stderr
    )
