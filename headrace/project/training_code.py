"""The training code, tried with this machine's environment before it is deployed into the local cloud.

Local jobs run with what is installed here: requirements.txt is compared with that, and the scripts are imported in a
separate process. The text of the code is checked when the CDK app is synthesized (infra/training/training_code.py).
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from headrace.errors import SetupError
from source_code.requirements import Line, needs_hashes, read

FOLDER, REQUIREMENTS, WHEELS = "training", "requirements.txt", "wheels"
SOURCE = "requirements.in"  # what `make lock` writes requirements.txt from
IMPORTED = "inference.py"  # the one script that is imported by the server, and not run
SECONDS = 180  # torch takes 2 to 20 s to import on a busy machine

_IMPORTING = Path(__file__).with_name("importing.py")
_PYTHON = f"Python {sys.version_info.major}.{sys.version_info.minor}, which jobs have here"
_MODULE = re.compile(r"No module named '([^'.]+)")


def check(root: Path, networks: list[str]) -> None:
    """Raises SetupError for code that jobs of the local cloud could not run."""
    folder = root / FOLDER
    if not folder.is_dir():
        return
    _check_requirements(folder)
    _check_imports(root, folder, networks)


def _check_requirements(folder: Path) -> None:
    missing = list(_missing(folder))
    if not missing:
        return
    said = "; ".join(f"line {number} asks for {wanted}, and {found}" for number, wanted, found in missing)
    wanted = " ".join(shlex.quote(str(requirement)) for _, requirement, _ in missing)
    to = f"download --dest {FOLDER}/{WHEELS} --only-binary :all:" if (folder / WHEELS).is_dir() else "install"
    raise SetupError(
        f"{FOLDER}/{REQUIREMENTS}: {said}. Jobs of the local cloud run with what is installed here",
        hint=f"{shlex.quote(_shown(Path(sys.executable)))} -m pip {to} {wanted}",
    )


def _missing(folder: Path) -> Iterator[tuple[int, Requirement, str]]:
    """Line, requirement and what there is instead. A wheel in the code that fits this Python is enough."""
    for line in _lines(folder):
        number = line.number
        if line.is_option:
            continue
        try:
            requirement = Requirement(line.text)
        except InvalidRequirement:
            continue  # the CDK app refuses it, with its line
        if (requirement.marker and not requirement.marker.evaluate()) or _has_wheel(folder / WHEELS, requirement):
            continue
        if (folder / WHEELS).is_dir():  # jobs install from there alone
            yield number, requirement, f"{FOLDER}/{WHEELS}/ has none for {_PYTHON}"
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield number, requirement, "it is not installed"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield number, requirement, f"{version} is installed"


def _lines(folder: Path) -> list[Line]:
    path = folder / REQUIREMENTS
    return read(path.read_text("utf-8")) if path.is_file() else []


def _has_wheel(wheels: Path, requirement: Requirement) -> bool:
    for path in wheels.glob("*.whl"):
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename:
            continue
        if name == canonicalize_name(requirement.name) and requirement.specifier.contains(version, prereleases=True):
            return not tags.isdisjoint(sys_tags())
    return False


def _check_imports(root: Path, folder: Path, networks: list[str]) -> None:
    scripts = [path.name for path in sorted(folder.glob("*.py")) if path.name == IMPORTED or _is_guarded(path)]
    chosen = [word for network in networks for word in ("--network", network)]
    paths = os.pathsep.join([str(folder), str(root)])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(_IMPORTING), str(folder), *chosen, *scripts]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, cwd=folder,
                              stdin=subprocess.DEVNULL, timeout=SECONDS)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"importing {', '.join(scripts)} of {FOLDER}/ took more than {SECONDS} s",
            hint='move what takes long below if __name__ == "__main__": a module is imported by every job',
        ) from error
    try:
        problem = json.loads(done.stdout)
    except ValueError:
        end = "\n".join(done.stderr.splitlines()[-5:])
        problem = {"where": ", ".join(scripts), "what": f"Python ended with status {done.returncode}\n{end}"}
    if problem is not None:
        what, _, hint = problem["what"].partition("\nhint: ")
        where = f"{FOLDER}/{problem['where']}"
        raise SetupError(f"{where}: {what}", hint=hint or _hint(what, where, hashed=needs_hashes(_lines(folder))))


def _is_guarded(path: Path) -> bool:
    """Whether the file is a script that does nothing when it is imported."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError):
        return False  # the CDK app refuses it, with its line
    return any(isinstance(node, ast.If) and "__name__" in ast.dump(node.test) for node in body)


def _hint(what: str, where: str, *, hashed: bool) -> str:
    missing = _MODULE.search(what)
    if missing:
        python = shlex.quote(_shown(Path(sys.executable)))
        named, lock = (SOURCE, "make lock; ") if hashed else (REQUIREMENTS, "")
        return (
            f"name the package of {missing[1]} with its version in {FOLDER}/{named}, then: "
            f"{lock}{python} -m pip install -r {FOLDER}/{REQUIREMENTS}"
        )
    return f"correct it; {Path(sys.executable).name} {where.partition(',')[0]} --help shows the whole traceback"


def _shown(path: Path) -> str:
    """As it is typed in this folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if here in path.parents else str(path)
