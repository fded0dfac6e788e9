"""What the code archive has to bring along where pip reaches no index."""

from __future__ import annotations

import re
from pathlib import Path

from infra.settings import Settings
from infra.typed_table import SettingsError

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?(?:==(?P<version>[^\s;#]+))?")


def require_wheels(settings: Settings, training: Path) -> None:
    """Each requirement needs a wheel in training/wheels/: jobs in a VPC install from there (training/entry.py).

    Raises SettingsError. Whether a wheel is for the image's Python and system is for pip to say, when a job runs.
    """
    wheels = [path.name.split("-") for path in (training / "wheels").glob("*.whl")]
    there = {(_normal(name), version) for name, version, *_ in wheels}
    missing = [
        match[0]
        for line in _lines(training / "requirements.txt")
        if (match := _REQUIREMENT.match(line))
        and not any(name == _normal(match["name"]) and match["version"] in (None, version) for name, version in there)
    ]
    if missing:
        raise SettingsError(
            "network_access is 'vpc', where jobs reach no package index, and training/wheels/ lacks "
            f"{', '.join(missing)}",
            settings.table,
            "python -m pip download --dest training/wheels -r training/requirements.txt --only-binary :all: "
            "--platform manylinux_2_28_x86_64 --python-version <the image's>, for each of the images' versions, and "
            "for this machine's to rehearse it here",
        )


def _lines(requirements: Path) -> list[str]:
    return [line.strip() for line in requirements.read_text().splitlines()] if requirements.is_file() else []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
