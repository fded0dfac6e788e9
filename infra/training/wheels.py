"""What the code archive has to bring along where pip reaches no index, and wherever it brings wheels at all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from environments.typed_table import SettingsError
from source_code.requirements import Line, needs_hashes, read

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?(?:==(?P<version>[^\s;#]+))?")
_TAGGED = re.compile(r"py3(\d+)")  # pytorch-inference:2.6.0-cpu-py312-…
_UNTAGGED = re.compile(r"pytorch:2\.1[1-4]-")  # AWS's images of 2.11 to 2.14 have Python 3.12 (their release notes)
_ELSEWHERE = ("win", "macosx")  # how the tags of other systems begin


def image_python(image: str) -> int | None:
    """The minor version of the image's Python 3; None for a custom image, of which nothing is known."""
    tagged = _TAGGED.search(image)
    return int(tagged[1]) if tagged else 12 if _UNTAGGED.match(image) else None


@dataclass(frozen=True, slots=True)
class _Wheel:
    path: Path
    name: str
    version: str
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]

    @classmethod
    def of(cls, path: Path) -> _Wheel:
        name, version, *_, pythons, abis, platforms = path.name.removesuffix(".whl").split("-")
        return cls(path, _normal(name), version, tuple(pythons.split(".")), tuple(abis.split(".")),
                   tuple(platforms.split(".")))  # fmt: skip

    def is_one_of(self, hashes: Sequence[str]) -> bool:
        """Whether pip takes its bytes; without hashes it takes any."""
        return not hashes or f"sha256:{hashlib.sha256(self.path.read_bytes()).hexdigest()}" in hashes

    def fits(self, minor: int) -> bool:
        """Whether Python 3.`minor` on Linux takes it; one for the stable ABI is for later versions too."""
        if all(platform.startswith(_ELSEWHERE) for platform in self.platforms):
            return False
        stable = "abi3" in self.abis
        return any(
            python in ("py3", f"cp3{minor}")
            or (stable and python.startswith("cp3") and python[3:].isdecimal() and int(python[3:]) <= minor)
            for python in self.pythons
        )


def require_wheels(training: Path, images: Sequence[str], where: str, *, vpc: bool = True) -> None:
    """Each requirement needs a wheel in training/wheels/ that the Python of every image takes.

    That is so in a VPC, and wherever there is the folder: jobs install from it alone then (training/entry.py). `where`
    is the table of the settings. Jobs of the local environment have none of the images, but this machine's Python,
    which `headrace deploy` looks at. Raises SettingsError.
    """
    folder = training / "wheels"
    if not vpc and not folder.is_dir():
        return
    wheels = [_Wheel.of(path) for path in folder.glob("*.whl") if path.name.count("-") >= 4]
    pythons = {minor: image for image in images if (minor := image_python(image)) is not None}
    requirements = training / "requirements.txt"
    lines = read(requirements.read_text("utf-8")) if requirements.is_file() else []
    missing = list(_missing(lines, wheels, pythons))
    if missing:
        why = "network_access is 'vpc', where jobs reach no package index, and " if vpc else ""
        only = "" if vpc else ", from which alone jobs install while it is there"
        raise SettingsError(
            f"{why}training/wheels/ lacks {', '.join(missing)}{only}",
            where,
            f"python -m pip download --dest training/wheels -r training/requirements.txt --only-binary :all: "
            f"{'--no-deps ' if needs_hashes(lines) else ''}"
            "--platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --python-version <the image's>, for "
            "each of the images' versions, and for this machine's to rehearse it here",
        )


def _missing(lines: list[Line], wheels: list[_Wheel], pythons: Mapping[int, str]) -> Iterator[str]:
    for line in lines:
        match = _REQUIREMENT.match(line.text)
        if match is None:
            continue
        found = [
            wheel
            for wheel in wheels
            if wheel.name == _normal(match["name"]) and match["version"] in (None, wheel.version)
        ]
        if not found:
            yield match[0]
            continue
        found = [wheel for wheel in found if wheel.is_one_of(line.hashes)]
        if not found:
            yield f"{match[0]} with a hash that requirements.txt names"
            continue
        for minor, image in sorted(pythons.items()):
            if not any(wheel.fits(minor) for wheel in found):
                yield f"{match[0]} for Python 3.{minor} of {image}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
