"""The training code, checked before anything is deployed with it.

Its files are compiled by the Python that runs the CDK app. Where the training image has an older one, what the parser
knows to be newer is also refused. The message names both versions. The code is not imported here:
`headrace deploy` does that, with the local environment.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

from packaging.requirements import InvalidRequirement, Requirement

from environments.typed_table import SettingsError
from infra.training.wheels import image_python
from pipeline_definition import SCRIPTS, PipelineSettings
from source_code.archive import File
from source_code.errors import SourceError
from source_code.imports import ENTRY, needed, refuse_uncompilable
from source_code.networks import Networks, networks
from source_code.requirements import needs_hashes, read

REQUIREMENTS = "requirements.txt"
_OWN_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.")


def check_training_code(
    files: Mapping[str, File], pipelines: Mapping[str, PipelineSettings], image: str, *, local: bool
) -> None:
    """Raises SettingsError for code that no job could run, and for a network that it does not know.

    `pipelines` has those of all lines by the names of their tables. Jobs run in the training `image`, `local` ones with
    this machine's Python.
    """
    try:
        refuse_uncompilable(files, None if local else image_python(image))
        for script in (ENTRY, *SCRIPTS):
            needed(files, script)
        known = networks(files)
    except SourceError as error:
        raise SettingsError(error.what + _python_of_image(image, error.what), "training", error.hint) from error
    requirements = _requirements(files)
    if known is not None:
        for table, pipeline in pipelines.items():
            for trained in pipeline.trained:
                _check_network(trained.network, image, f"environments.toml [{table}]", known, requirements)


def _python_of_image(image: str, what: str) -> str:
    minor = image_python(image)
    if "does not compile" not in what or minor is None:
        return ""
    return f" (the image {image} has Python 3.{minor})"


def _requirements(files: Mapping[str, File]) -> dict[str, Requirement]:
    """By normalized name. Options of pip, such as --extra-index-url, are pip's to judge."""
    found = {}
    lines = read(files[REQUIREMENTS].content.decode("utf-8", "replace") if REQUIREMENTS in files else "")
    for line in lines:
        if line.is_option:
            continue
        try:
            requirement = Requirement(line.text)
        except InvalidRequirement as error:
            said = str(error).splitlines()[0]
            raise SettingsError(
                f"line {line.number}, {line.text!r}, is not a requirement: {said}",
                f"training/{REQUIREMENTS}",
                "write a package and its version: pillow==13.0.0",
            ) from error
        found[_normal(requirement.name)] = requirement
        if needs_hashes(lines) and not line.hashes:
            raise SettingsError(
                f"line {line.number}, {line.text!r}, has no hash, and pip takes nothing without one where another has "
                "one, or --require-hashes is there",
                f"training/{REQUIREMENTS}",
                "write it into training/requirements.in, then `make lock`, which finds the hashes of it and of all "
                "that it needs; or give up hashes: leave out --require-hashes and each --hash",
            )
    return found


def _check_network(network: str, image: str, place: str, known: Networks, requirements: Container[str]) -> None:
    if not known.know(network):
        timm = f"; a network of timm is written {known.prefix}{network}" if known.prefix else ""
        raise SettingsError(
            f"network is {network!r}, which training/model.py does not know",
            place,
            f"use one of {known}{timm}; or add your own to NETWORKS in training/model.py",
        )
    is_timm = known.prefix is not None and network.startswith(known.prefix)
    if is_timm and "timm" not in requirements and not _OWN_IMAGE.match(image):
        raise SettingsError(
            f"network is {network!r}, and training/{REQUIREMENTS} does not name timm, which the image does not have",
            place,
            f"add timm and torchvision to training/{REQUIREMENTS}, in versions that fit the torch of the images",
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
