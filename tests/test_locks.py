"""Every environment is installed from a lock file: fixed versions, wheels alone, a hash for each."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from suite import PROJECT

from locks import install
from locks.compile import CPU_WHEELS, without_brought
from source_code.requirements import read

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "locks").glob("*.lock"))
ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9].*?) \\\n(    --hash=sha256:.*\n)+", re.MULTILINE)


def locked(*names: str) -> dict[str, str]:
    """Package to version, of what the lock files of these names install for this Python."""
    text = "".join((ROOT / "locks" / f"{name}.lock").read_text() for name in names)
    requirements = [Requirement(entry["requirement"]) for entry in ENTRY.finditer(text)]
    return {
        normal(it.name): str(it.specifier).removeprefix("==")
        for it in requirements
        if it.marker is None or it.marker.evaluate()
    }


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def named(requirement: str) -> tuple[str, str]:
    name, _, version = requirement.partition("==")
    return normal(name.split("[")[0].strip()), version.split(";")[0].strip()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_each_package_of_a_lock_file_has_one_version_and_hashes(lock: Path) -> None:
    packages = [line for line in lock.read_text().splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert packages
    assert len(packages) == len(ENTRY.findall(lock.read_text())), "a package without a version or without a hash"


def test_project_is_locked_at_the_versions_that_pyproject_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dependencies = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    lock = locked("project")
    wrong = {name: lock.get(name) for name, version in map(named, dependencies) if lock.get(name) != version}
    assert not wrong, "`make lock` was not run after a change of pyproject.toml"


@pytest.mark.parametrize(
    ("lock", "source"),
    [("sdk", "tests/sdk/requirements.txt"), ("audit", "tests/infra/audit/requirements.txt")],
)
def test_environment_of_a_tool_is_locked_at_the_versions_of_its_source(lock: str, source: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / source).read_text().splitlines()]
    assert dict(named(line) for line in lines if line) == locked(lock)


def test_what_jobs_install_is_locked_at_the_versions_of_its_source() -> None:
    """Training jobs and endpoints install requirements.txt; requirements.in is what people edit."""
    source = [line.split("#")[0].strip() for line in (PROJECT / "training/requirements.in").read_text().splitlines()]
    lines = [line for line in read((PROJECT / "training/requirements.txt").read_text()) if not line.is_option]
    installed = dict(named(line.text) for line in lines)
    wanted = dict(named(line) for line in source if line)
    assert {name: installed.get(name) for name in wanted} == wanted, "`make lock` was not run after a change"
    project = locked("project")
    assert {name: project.get(name) for name in wanted} == wanted, "jobs here run with what pyproject.toml names"


def test_a_lock_of_jobs_leaves_out_what_only_an_image_brings() -> None:
    """torch's own dependencies come with it, except those that another package requires or that are named."""
    asked = {"torch": [], "numpy": ["simplejpeg"], "sympy": ["torch"], "mpmath": ["sympy"], "jinja2": ["torch"]}
    asked |= {"filelock": ["torch", "timm"], "timm": [], "simplejpeg": []}
    found = [(name, f"{name}==1\n" + "".join(f"    #   {by}\n" for by in askers)) for name, askers in asked.items()]
    kept = without_brought(found, {"torch", "timm", "simplejpeg", "jinja2"}, frozenset({"torch", "numpy"}))
    assert [name for name, _ in kept] == ["jinja2", "filelock", "timm", "simplejpeg"]


def test_what_is_installed_is_what_the_lock_files_name() -> None:
    """Both ways: nothing is installed that no lock file names, and every version is the locked one."""
    lock = locked("pip", "project", "cuda")
    installed = {normal(it.metadata["Name"]): it.version.partition("+")[0] for it in distributions()}
    installed.pop("headrace", None)
    assert {name: version for name, version in installed.items() if lock.get(name) != version} == {}


@pytest.mark.process
def test_everything_is_installed_from_lock_files_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one exception is the project itself, which is built here and brings no dependency."""
    commands: list[list[str]] = []
    monkeypatch.setattr(install, "run", lambda command, *_: commands.append(command))
    monkeypatch.setattr(install, "make_environment", lambda: None)
    for which in ("cpu", "cuda"):
        install.install_project(which)
    assert len(commands) == 7
    for command in commands:
        locked = {"--require-hashes", "--only-binary"} <= set(command)
        assert locked or {"--no-deps", "--editable"} <= set(command), command
    assert "pip install" not in (ROOT / "Makefile").read_text()


def test_torch_for_cpus_is_locked_at_the_projects_version_with_a_wheel_for_each_python() -> None:
    lines = (ROOT / "locks" / "torch-cpu.lock").read_text().splitlines()
    assert lines[1].startswith(f"torch=={locked('project')['torch']}+cpu ")
    assert len([line for line in lines if "--hash=" in line]) == len(CPU_WHEELS.splitlines())
    pythons = {line.split()[1] for line in CPU_WHEELS.splitlines()}
    assert pythons == {"cp311", "cp312", "cp313", "cp314"}
