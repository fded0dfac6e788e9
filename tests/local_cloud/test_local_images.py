"""The virtual environments that stand for images."""

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from suite import PROJECT, ROOT

from local_cloud.errors import ImageError
from local_cloud.sagemaker.containers.images import environment, image
from local_cloud.sagemaker.containers.images.families import BUILT_IN, FAMILIES, Family, family_of

pytestmark = pytest.mark.process

PAGE = ROOT / "docs" / "images.md"
BEGIN, END = (
    "<!-- begin of the table that tests/local_cloud/test_local_images.py writes -->",
    "<!-- end of the table -->",
)
LOCKS = sorted((ROOT / "local_cloud/sagemaker/containers/images/locks").glob("*.lock"))


def row_of(family: Family) -> str:
    names = ", ".join(f"`{name}`" for name in family.repositories)
    locked = ", ".join(name for name in family.shown if name not in family.linked)
    contents = [f"{locked}: `locks/{family.lock}.lock`"] if family.lock else []
    contents += [f"{', '.join(family.linked)} of the project"] if family.linked else []
    without = "runs the script of `sagemaker_program`" if family.has_toolkit else "is refused"
    without += f"; {family.algorithm} without one is refused" if family.algorithm else ""
    return f"| {names} | {'; '.join(contents) or 'the standard library'} | {without} |"


def test_the_page_has_the_table_of_images(request: pytest.FixtureRequest) -> None:
    lines = ["| images | what stands for them | a training job without `ContainerEntrypoint` |", "| --- | --- | --- |"]
    lines += [row_of(family) for family in FAMILIES if family.title != "Lambda"]
    text = PAGE.read_text()
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    written = f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}"
    if request.config.getoption("write_images", default=False):
        PAGE.write_text(written)
    assert PAGE.read_text() == written, "--write-images writes it"


def test_no_image_is_both_a_family_and_a_built_in_algorithm() -> None:
    assert not [name for name in BUILT_IN if family_of(name)]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_has_the_projects_versions_where_both_have_a_package(lock: Path) -> None:
    """So they are linked, and only the rest is installed."""
    assert lock.stem in {family.lock for family in FAMILIES}
    packages = {each.name: each for each in environment.locked(lock.read_text())}
    assert len(packages) >= 8
    project = environment.locked((ROOT / "locks/project.lock").read_text())
    both = {each.name: each.version for each in project if each.name in packages}
    assert {"numpy"} <= both.keys()
    assert both == {name: packages[name].version for name in both}


def test_the_console_scripts_of_packages_are_on_the_path(tmp_path: Path) -> None:
    root = image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1", tmp_path / "a folder with spaces")
    assert {"python", "python3", "pip", "pip3", "torchrun"} <= {path.name for path in (root / "bin").iterdir()}
    variables = {"PATH": f"{root / 'bin'}:/usr/bin:/bin"}
    for command, said in (("torchrun --help", "usage: torchrun"), ("pip --version", "pip, the local cloud's stand-in")):
        done = subprocess.run(["/bin/sh", "-c", command], env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(said)


def test_pip_of_a_job_removes_nothing_and_lists_what_there_is(tmp_path: Path) -> None:
    root = image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1", tmp_path)
    done = subprocess.run(
        [root / "bin/pip", "uninstall", "-y", "torch", "owl"], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines() == [
        "WARNING: Skipping torch as it belongs to the image.",
        "WARNING: Skipping owl as it is not installed.",
    ]
    listed = subprocess.run([root / "bin/pip", "freeze"], capture_output=True, text=True, check=True).stdout
    assert "torch==2.13.0" in listed
    assert "boto3" not in listed


def test_jobs_that_need_an_image_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    """The first run of two lanes is such a moment."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path), range(8)))
    assert len(found) == 1
    assert [*tmp_path.iterdir()] == [*found]  # no drafts are left


class SlowPath(type(Path())):  # type: ignore[misc]
    """Lets another thread go on whenever it is looked up."""

    def __hash__(self) -> int:
        time.sleep(0.02)
        return super().__hash__()


def test_an_environment_is_made_once_whatever_moment_threads_look_for_it(tmp_path: Path) -> None:
    contents, folder = environment.contents(["numpy"]), SlowPath(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(environment.make, "once", contents, folder, {}, print) for _ in range(8)]
    assert len({str(each.result()) for each in made}) == 1


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
