"""Local counterparts of container images: virtual environments that hold what the image holds, and no more.

A job script that imports what neither its image has nor its ``requirements.txt`` names fails here as it would on AWS,
although the machine has it. The environments are links into the project's own environment, so they cost no copy:
about 0.1 s to make, once per set of versions.

`python -m pip install` works inside: the stand-in under ``pip/`` links what the project's environment has, in the
version that is asked for, or fails and says what is missing. Nothing is downloaded while a job runs.

An image is known by the name of its repository. Its tag and its digest are taken as given: no registry is asked, so a
digest that does not exist is found out on AWS.
"""

import hashlib
import re
import shutil
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from local_cloud.errors import ImageError

_HERE = Path(__file__).parent
INFERENCE_SERVER = _HERE / "inference_server.py"

# Repository name of the image -> the distributions it surely has, beside the standard library.
_CONTENTS = {
    "pytorch": ("torch", "numpy"),
    "pytorch-training": ("torch", "numpy"),
    "pytorch-inference": ("torch", "numpy"),
    "lambda-python": ("boto3",),
}
_REPOSITORY = re.compile(r"(?:.*/)?([A-Za-z0-9._-]+)(?::[^:/@]+)?(?:@sha256:[0-9a-f]{64})?")
# packaging reads requirements with `ast`, which Python 3.11 cannot do in two threads at once: now and then it is a
# SystemError, "AST constructor recursion depth mismatch".
_READING = threading.Lock()


def image(uri: str, directory: Path) -> Path:
    """The environment that stands for the image ``uri``, made under ``directory`` if it is not there.

    Raises ImageError for an image that has no local counterpart.
    """
    match = _REPOSITORY.fullmatch(uri)
    repository = match.group(1) if match else uri
    if repository not in _CONTENTS:
        raise ImageError(
            f"the image {uri} has no local counterpart.\n"
            f"hint: these have: {', '.join(sorted(_CONTENTS))}; give a script another image, or add a line to "
            "local_cloud/sagemaker/containers/images/__init__.py"
        )
    with _READING:
        found = sorted(_closure(_CONTENTS[repository]), key=lambda item: item.name)
    identity = [sys.version, sys.prefix, *(f"{item.name}=={item.version}" for item in found)]
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:12]
    target = directory / f"{repository}-{digest}"
    if not target.exists():
        _build(target, found)
    return target


def _closure(names: Iterable[str]) -> list[metadata.Distribution]:
    """The distributions and all they require, from the environment that runs this."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(names)
    while waiting:
        name = _normal(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise ImageError(
                f"the package {name} is not installed in {sys.prefix}.\nhint: run `make install`"
            ) from error
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return list(found.values())


def _build(target: Path, distributions: Iterable[metadata.Distribution]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))  # jobs side by side may make it at once
    binaries = draft / "bin"
    packages = draft / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    binaries.mkdir(parents=True)
    packages.mkdir(parents=True)
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (draft / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\ninclude-system-site-packages = false\n")
    for name in ("python", "python3"):
        (binaries / name).symlink_to(interpreter)
    for distribution in distributions:
        for entry in _top_level(distribution):
            link = packages / entry.name
            if not link.exists():
                link.symlink_to(entry)
    shutil.copytree(_HERE / "pip", packages / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "pip" / "host.txt").write_text(sysconfig.get_path("purelib"))
    try:
        draft.rename(target)
    except OSError:  # another job was first, with the same content
        shutil.rmtree(draft)


def _top_level(distribution: metadata.Distribution) -> Iterator[Path]:
    """The files and folders in site-packages that belong to a distribution."""
    root = Path(str(distribution.locate_file("")))
    names = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
    yield from (root / name for name in sorted(names))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
