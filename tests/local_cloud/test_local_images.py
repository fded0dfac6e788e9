"""The virtual environments that stand for images."""

import hashlib
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from suite import PROJECT

from local_cloud.errors import ImageError
from local_cloud.sagemaker.containers.images import image

pytestmark = pytest.mark.process


def test_jobs_that_need_an_image_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    """The first run of two lanes is such a moment."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path), range(8)))
    assert len(found) == 1
    assert [*tmp_path.iterdir()] == [*found]  # no drafts are left


@pytest.mark.parametrize("name", ["pytorch@{}", "pytorch:2.13@{}"])
def test_an_image_that_is_pinned_to_a_digest_has_the_counterpart_of_its_repository(tmp_path: Path, name: str) -> None:
    registry = "1.dkr.ecr.us-east-1.amazonaws.com"
    pinned = image(f"{registry}/{name.format('sha256:' + '0' * 64)}", tmp_path)
    assert pinned == image(f"{registry}/pytorch:2.13", tmp_path)


def test_what_is_not_a_digest_has_no_counterpart(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="has no local counterpart"):
        image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch@sha256:12", tmp_path)


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


def install(tmp_path: Path, requirements: str, *options: str) -> tuple[int, str]:
    """What the pip of a job says to a requirements.txt."""
    root = image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path / "images")
    (tmp_path / "target").mkdir()
    (tmp_path / "requirements.txt").write_text(requirements)
    command = [root / "bin/python", "-m", "pip", "install", *options, "-r", tmp_path / "requirements.txt"]
    environment = {**os.environ, "PIP_TARGET": str(tmp_path / "target")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_requirements_with_hashes_are_linked_in_the_version_that_they_name(tmp_path: Path) -> None:
    shipped = (PROJECT / "training/requirements.txt").read_text()
    assert "--hash=" in shipped
    assert install(tmp_path, shipped) == (0, "")
    assert {"PIL", "safetensors", "simplejpeg"} <= {path.name for path in (tmp_path / "target").iterdir()}


@pytest.mark.parametrize("first", ["--require-hashes", f"pillow==13.0.0 \\\n    --hash=sha256:{'0' * 64}"])
def test_where_one_requirement_has_a_hash_each_needs_one(tmp_path: Path, first: str) -> None:
    status, said = install(tmp_path, f"{first}\nsimplejpeg==1.9.0  # by hand\n")
    assert status == 1
    assert said.startswith("ERROR: Hashes are required in --require-hashes mode, but they are missing from some ")
    assert said.endswith(":\n    simplejpeg==1.9.0\n")
    assert not [*(tmp_path / "target").iterdir()]


def test_a_requirement_with_a_hash_that_is_not_installed_here_is_named_without_it(tmp_path: Path) -> None:
    status, said = install(tmp_path, f"owl==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    assert status == 1
    assert said.startswith("ERROR: owl==1.0 is not in the project's environment, so it cannot be installed on this ")


@pytest.mark.parametrize("good", [True, False])
def test_a_wheel_is_compared_with_its_hash(tmp_path: Path, good: bool) -> None:
    (tmp_path / "wheels").mkdir()
    path = tmp_path / "wheels/owl-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("owl.py", "")
    digest = hashlib.sha256(path.read_bytes() if good else b"another").hexdigest()
    links = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    status, said = install(tmp_path, f"owl==1.0 --hash=sha256:{digest}\n", *links)
    assert (status, (tmp_path / "target/owl.py").exists()) == (int(not good), good)
    assert good or said.startswith("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE")
