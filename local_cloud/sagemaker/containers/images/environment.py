"""Makes the virtual environments that stand for images.

What the project's environment has in the wanted version is linked, which costs no copy: about 0.1 s, once per set of
versions. pip installs the rest, from wheels alone and each compared with its hash. An environment is made whole under
another name and then renamed; its name has a digest of all versions in it.
"""

import hashlib
import logging
import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement

from local_cloud.errors import ImageError

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;]+)\s*"
    r"(?:;\s*(?P<marker>.*?))?(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})+)"
)
_TRY_AGAIN_SECONDS = 300.0  # after pip has failed: without an index, each job would wait for it
# Runs with the interpreter beside it, wherever that is and however long its path is.
_SCRIPT = """#!/bin/sh
'''exec' "$(dirname "$0")/python3" "$0" "$@"
' '''
import sys
from {module} import {top}
sys.exit({function}())
"""
# packaging reads requirements with `ast`, which Python 3.11 cannot do in two threads at once: now and then it is a
# SystemError, "AST constructor recursion depth mismatch".
_READING = threading.Lock()
_ONE_AT_A_TIME = threading.Lock()
_building: dict[Path, threading.Lock] = {}
_failed: dict[Path, tuple[float, str]] = {}


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock file."""

    name: str
    version: str
    hashes: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What an environment holds."""

    linked: Mapping[str, metadata.Distribution]
    installed: tuple[Locked, ...] = ()

    @property
    def versions(self) -> dict[str, str]:
        return {name: each.version for name, each in self.linked.items()} | {
            each.name: each.version for each in self.installed
        }


def contents(names: Iterable[str], lock: str = "") -> Contents:
    """The packages `names` with all they require, and those of a lock file's text. Raises ImageError."""
    with _READING:
        linked = _closure(names)
        installed = []
        for each in locked(lock):
            found = _found(each.name)
            if found is not None and found.version.split("+")[0] == each.version:
                linked.setdefault(each.name, found)
            elif each.name not in linked:
                installed.append(each)
    return Contents(dict(sorted(linked.items())), tuple(installed))


def locked(text: str) -> Iterator[Locked]:
    """The packages that a lock file has for this machine. Raises ImageError for a line of another form."""
    for line in text.replace("\\\n", " ").splitlines():
        words = re.sub(r"(^|\s)#.*", "", line).strip()
        match = _ENTRY.fullmatch(words)
        if match is None and words:
            raise ImageError(
                f"{words[:80]!r} is not a package as name==version with its hashes.\n"
                "hint: uv pip compile --generate-hashes requirements.in -o locked.txt writes a lock file"
            )
        if match and (match["marker"] is None or Marker(match["marker"]).evaluate()):
            yield Locked(_normal(match["name"]), match["version"], match["hashes"])


def make(name: str, wanted: Contents, directory: Path, pip: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The environment with these contents, made under `directory` if it is not there.

    `pip` are the variables with pip's settings; `say` gets what pip says. Raises ImageError.
    """
    identity = [sys.version, sys.prefix, *(f"{package}=={version}" for package, version in wanted.versions.items())]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:12]
    target = directory / f"{name}-{digest}"
    with _ONE_AT_A_TIME:  # a path's hash is Python code: two threads could each make the lock of a new path
        building = _building.setdefault(target, threading.Lock())
    with building:
        if not target.exists():
            when, why = _failed.get(target, (0.0, ""))
            if why and time.monotonic() - when < _TRY_AGAIN_SECONDS:
                raise ImageError(why)
            try:
                _build(target, wanted, pip, say)
            except ImageError as error:
                _failed[target] = time.monotonic(), str(error)
                raise
    return target


def _build(target: Path, wanted: Contents, pip: Mapping[str, str], say: Callable[[str], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for left_over in target.parent.glob(f"{target.name}.*"):  # by a local cloud that was killed
        shutil.rmtree(left_over, ignore_errors=True)  # its pip may still write
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        packages = draft / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        packages.mkdir(parents=True)
        if wanted.installed:
            _install(wanted.installed, packages, pip, say)
        binaries = draft / "bin"
        binaries.mkdir()
        interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        (draft / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
        for name in ("python", "python3"):
            (binaries / name).symlink_to(interpreter)
        for distribution in wanted.linked.values():
            for entry in _top_level(distribution):
                link = packages / entry.name
                if not link.exists():
                    link.symlink_to(entry)
        shutil.copytree(_HERE / "pip", packages / "pip", ignore=shutil.ignore_patterns("__pycache__"))
        (packages / "pip" / "host.txt").write_text(sysconfig.get_path("purelib"))
        _write_scripts(binaries, packages)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _install(packages: Iterable[Locked], target: Path, pip: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Installs wheels with pip's own settings, and no other variable of the user's."""
    lock = target.parents[2] / "requirements.txt"
    lock.write_text("".join(f"{each.name}=={each.version} {each.hashes}\n" for each in packages))
    command = [
        sys.executable, "-m", "pip", "install", "--target", str(target), "--no-deps", "--require-hashes",
        "--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
        "--retries", "1", "--timeout", "15", "-r", str(lock),
    ]  # fmt: skip
    own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": pwd.getpwuid(os.getuid()).pw_dir, "LANG": "C.UTF-8"}
    with subprocess.Popen(
        command, env=own | dict(pip), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                say(f"pip: {lines[-1]}")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines[-3:]
        raise ImageError(
            f"pip could not install {', '.join(f'{each.name}=={each.version}' for each in packages)}: "
            f"{' '.join(errors)[:400]}\n"
            "hint: the local cloud installs from PyPI, or as pip's own settings say; python -m pip config list"
        )
    shutil.rmtree(target / "bin", ignore_errors=True)  # their scripts name the interpreter that runs this


def _write_scripts(binaries: Path, packages: Path) -> None:
    """The console scripts of all packages, such as torchrun, and pip's."""
    scripts = {"pip": "pip.__main__:main", "pip3": "pip.__main__:main"}
    for distribution in metadata.distributions(path=[str(packages)]):
        for entry in distribution.entry_points:
            if entry.group == "console_scripts" and "/" not in entry.name:
                scripts.setdefault(entry.name, entry.value.split("[")[0].strip())
    for name, value in scripts.items():
        module, _, function = value.partition(":")
        path = binaries / name
        if module and function and not path.exists():
            path.write_text(_SCRIPT.format(module=module, top=function.split(".")[0], function=function))
            path.chmod(0o755)


def _closure(names: Iterable[str]) -> dict[str, metadata.Distribution]:
    """The distributions and all they require, from the environment that runs this."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = _normal(waiting.pop())
        if name in found:
            continue
        distribution = _found(name)
        if distribution is None:
            raise ImageError(f"the package {name} is not installed in {sys.prefix}.\nhint: run `make install`")
        found[name] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def _found(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _top_level(distribution: metadata.Distribution) -> Iterator[Path]:
    """The files and folders in site-packages that belong to a distribution."""
    root = Path(str(distribution.locate_file("")))
    names = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    yield from (root / name for name in sorted(names))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
