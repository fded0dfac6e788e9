"""Images that the user maps to something on this machine: ``sagemaker/images.toml`` in the state directory.

Of a Headrace project it is the table [local.images] of environments.toml, which `headrace up` copies. Each key is a
pattern (`*` and `?`) of an image's URI, of its repository, or of repository:tag; the first that matches holds, before
the table of images that the local cloud knows (`local_cloud.sagemaker.containers.images.families`).

    "churn:*"  = { requirements = "/home/me/churn/locked.txt" }  # name==version with hashes: an environment built once
    "legacy"   = { python = "/home/me/legacy/bin/python" }       # an interpreter, with what is installed beside it
    "report-*" = { command = ["/home/me/report.sh"] }            # in the place of the image's own entry point
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.core.watched_file import WatchedFile

FORMS = "command, python or requirements"
_URI = re.compile(r"(?:.*/)?(?P<repository>[A-Za-z0-9._-]+)(?P<tag>:[^:/@]+)?(?:@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredImage:
    """What a pattern stands for; one of the last three."""

    pattern: str
    command: tuple[str, ...] = ()
    python: Path | None = None
    requirements: Path | None = None

    def matches(self, uri: str) -> bool:
        return any(fnmatchcase(name, self.pattern) for name in names(uri))


def names(uri: str) -> tuple[str, ...]:
    """The URI, and without registry, tag and digest: repository:tag and repository."""
    match = _URI.fullmatch(uri)
    if match is None:
        return (uri,)
    return uri, match["repository"] + (match["tag"] or ""), match["repository"]


def configured_images_file(directory: Path) -> WatchedFile[tuple[ConfiguredImage, ...]]:
    """`directory` is that of the SageMaker service."""
    return WatchedFile(directory / "images.toml", parse)


def parse(document: dict[str, Any]) -> tuple[ConfiguredImage, ...]:
    """Raises ValueError at the first thing that is wrong."""
    return tuple(_image(pattern, value) for pattern, value in document.items())


def find(uri: str, configured: Iterable[ConfiguredImage]) -> ConfiguredImage | None:
    return next((image for image in configured if image.matches(uri)), None)


def _image(pattern: str, value: Any) -> ConfiguredImage:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f'the image "{pattern}" is {value!r}, not a table with one of {FORMS}')
    form, content = next(iter(value.items()))
    if form == "docker":
        raise ValueError(f'the image "{pattern}" is to run in Docker, which is not supported yet; use {FORMS}')
    if form == "command":
        if not isinstance(content, list) or not content or not all(isinstance(word, str) for word in content):
            raise ValueError(f'the command of the image "{pattern}" is {content!r}, not a list of texts')
        return ConfiguredImage(pattern=pattern, command=tuple(content))
    if form not in ("python", "requirements"):
        raise ValueError(f'the image "{pattern}" has the key {form!r}, which is not {FORMS}')
    if not isinstance(content, str) or not Path(content).is_absolute():
        raise ValueError(f'{form} of the image "{pattern}" is {content!r}, not an absolute path')
    path = Path(content)
    return (
        ConfiguredImage(pattern=pattern, python=path)
        if form == "python"
        else ConfiguredImage(pattern=pattern, requirements=path)
    )
