"""Wheels of what is installed here, in the place of a download's: real ones, for this machine's Python."""

import hashlib
import zipfile
from importlib import metadata
from pathlib import Path

from source_code.requirements import read


def named(training: Path) -> list[tuple[str, str]]:
    """Name and version of each line of training/requirements.txt."""
    lines = [line.text for line in read((training / "requirements.txt").read_text()) if not line.is_option]
    return [(line.partition("==")[0], line.partition("==")[2]) for line in lines]


def make_wheels(training: Path) -> None:
    """Make a wheel of each line of training/requirements.txt in training/wheels/, with its hash in place of PyPI's."""
    requirements = named(training)
    folder = training / "wheels"
    folder.mkdir()
    for name, version in requirements:
        distribution = metadata.distribution(name)
        assert distribution.version == version, f"`make install` installs {name}=={version}"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for file in distribution.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    wheel.write(str(distribution.locate_file(file)), str(file))
    lock(training, requirements)


def lock(training: Path, requirements: list[tuple[str, str]]) -> None:
    """Write requirements.txt with the hashes of the wheels that lie in wheels/."""
    text = "--require-hashes\n--only-binary :all:\n"
    for name, version in requirements:
        (wheel,) = (training / "wheels").glob(f"{name}-{version}-*.whl")
        text += f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    (training / "requirements.txt").write_text(text)
