"""Local counterparts of container images: Python environments that hold what the image holds, and no more.

A job script that imports what neither its image has nor its ``requirements.txt`` names fails here as it would on AWS,
although the machine has it. `families` is the table of the images that are known; `find` also looks into what the user
has mapped (`local_cloud.sagemaker.core.configured_images`).

`python -m pip install` works inside: the stand-in under ``pip/`` links what the project's environment has, in the
version that is asked for, or fails and says what is missing. Nothing is downloaded while a job runs.

An image is known by the name of its repository. Its tag and its digest are taken as given: no registry is asked, so a
digest that does not exist is found out on AWS. The log of a job says which versions stand for the image.
"""

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_cloud.errors import ImageError
from local_cloud.sagemaker.containers.images import environment
from local_cloud.sagemaker.containers.images.families import BUILT_IN, FAMILIES, Family, family_of
from local_cloud.sagemaker.core import configured_images
from local_cloud.sagemaker.core.configured_images import ConfiguredImage
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.errors import ValidationException

_HERE = Path(__file__).parent
INFERENCE_SERVER = _HERE / "inference_server.py"
TOOLKIT = _HERE / "toolkit.py"
_PYTHON = next(family for family in FAMILIES if family.title == "Python")


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of a container, made."""

    root: Path
    """``bin/python3`` is in it."""
    reads: tuple[Path, ...] = ()
    """Other files and folders that its programs need."""


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What stands for an image: a family of the table, or what the user has mapped it to."""

    uri: str
    family: Family
    configured: ConfiguredImage | None = None

    @property
    def command(self) -> tuple[str, ...]:
        """The image's own entry point, if the user has named one."""
        return self.configured.command if self.configured else ()

    def make(self, directory: Path, pip: Mapping[str, str], say: Callable[[str], None]) -> Environment:
        """Makes the environment under `directory` unless it is there; `say` gets lines for the log. Raises ImageError.

        `pip` are the variables with pip's settings.
        """
        if self.configured is not None:
            return self._configured(self.configured, directory, pip, say)
        family = self.family
        lock = (_HERE / "locks" / f"{family.lock}.lock").read_text() if family.lock else ""
        wanted = environment.contents(family.linked, lock)
        try:
            root = environment.make(_slug(family.title), wanted, directory, pip, say)
        except ImageError as error:
            missing = {each.name for each in wanted.installed}
            if not missing <= family.optional:
                raise ImageError(f"the counterpart of the image {self.uri} cannot be made: {error}") from error
            why = str(error).partition("\n")[0]
            say(f"{', '.join(sorted(missing))}: the image has it, and this job goes without it: {why}")
            wanted = environment.Contents(wanted.linked)
            root = environment.make(_slug(family.title), wanted, directory, pip, say)
        versions = [f"{name} {wanted.versions[name]}" for name in family.shown if name in wanted.versions]
        say(_stand_in(self.uri, versions))
        return Environment(root)

    def _configured(
        self, configured: ConfiguredImage, directory: Path, pip: Mapping[str, str], say: Callable[[str], None]
    ) -> Environment:
        if configured.python is not None:
            prefix, base, version = _ask(configured.python)
            say(_stand_in(self.uri, [str(configured.python)], version))
            return Environment(prefix, (base, configured.python))
        if configured.requirements is not None:
            lock = _readable(configured.requirements, configured.pattern).read_text()
            wanted = environment.contents((), lock)
            root = environment.make(_slug(configured.requirements.stem), wanted, directory, pip, say)
            say(_stand_in(self.uri, [f"{name} {version}" for name, version in wanted.versions.items()]))
            return Environment(root)
        root = environment.make(_slug(_PYTHON.title), environment.contents(()), directory, pip, say)
        say(_stand_in(self.uri, [" ".join(configured.command)]))
        paths = [Path(word) for word in configured.command if Path(word).is_absolute()]
        return Environment(root, tuple(path for path in paths if path.exists()))


def find(uri: str, configured: Iterable[ConfiguredImage] = ()) -> Counterpart:
    """The counterpart of an image; makes nothing. Raises ImageError for an image that has none."""
    mapped = configured_images.find(uri, configured)
    if mapped is not None:
        for path in (mapped.python, mapped.requirements, *map(Path, mapped.command[:1])):
            if path is not None:
                _readable(path, mapped.pattern)
        return Counterpart(uri, _PYTHON, mapped)
    repository = configured_images.names(uri)[-1]
    family = family_of(repository)
    if family is not None:
        return Counterpart(uri, family)
    if repository in BUILT_IN:
        raise ImageError(
            f"the image {uri} is SageMaker's built-in algorithm {BUILT_IN[repository]}, which AWS publishes as an "
            f"image alone.\nhint: train with your script in the image of a framework, or {_mapping(uri)}"
        )
    known = ", ".join(name for each in FAMILIES for name in each.repositories if each.title != "Lambda")
    raise ImageError(f"the image {uri} has no local counterpart; these have: {known}.\nhint: {_mapping(uri)}")


def require(context: Context, uri: str) -> Counterpart:
    """As `find`, with what the user has mapped. Raises ValidationException, for the answer to a request."""
    try:
        return find(uri, context.images.read())
    except ImageError as error:
        raise ValidationException(str(error)) from error


def require_servable(context: Context, uri: str) -> Counterpart:
    """As `require`, of an image that is to serve a model."""
    found = require(context, uri)
    if found.command:
        raise ValidationException(
            f"The image {uri} is mapped to a command, which the local cloud cannot serve a model with. "
            "hint: map it to python or requirements under [local.images]"
        )
    return found


def image(uri: str, directory: Path) -> Path:
    """The environment of an image of the table, for a caller that has no log. Raises ImageError."""
    return find(uri).make(directory, {}, lambda line: None).root


def _mapping(uri: str) -> str:
    name = configured_images.names(uri)[-1]
    return (
        f'map it under [local.images] in environments.toml, then headrace up: "{name}" = {{ requirements = "…" }}, '
        f'or {{ python = "…" }}, or {{ command = ["…"] }} (docs/images.md)'
    )


def _stand_in(uri: str, parts: Iterable[str], version: str = sys.version.split()[0]) -> str:
    return f"{uri}: runs here with Python {version}{''.join(f', {part}' for part in parts)}, whatever its tag says"


def _slug(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())[:40]


def _readable(path: Path, pattern: str) -> Path:
    if not path.is_file():
        raise ImageError(f'the image "{pattern}" is mapped to {path}, which is not a file.\nhint: fix [local.images]')
    return path


def _ask(python: Path) -> tuple[Path, Path, str]:
    """Its environment, the installation that this is made from, and its version."""
    code = "import sys; print(sys.prefix, sys.base_prefix, sys.version.split()[0], sep='\\n')"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True)
        prefix, base, version = done.stdout.splitlines()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ImageError(f"{python} is not a Python interpreter: {error}\nhint: fix [local.images]") from error
    return Path(prefix), Path(base), version
