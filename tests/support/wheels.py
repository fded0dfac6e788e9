"""Wheels of what is installed here, in the place of a download's: real ones, for this machine's Python."""

import zipfile
from importlib import metadata
from pathlib import Path


def make_wheels(training: Path) -> None:
    """Of each line of training/requirements.txt, into training/wheels/."""
    folder = training / "wheels"
    folder.mkdir()
    for line in (training / "requirements.txt").read_text().splitlines():
        name, version = line.split("==")
        distribution = metadata.distribution(name)
        assert distribution.version == version, f"`make install` installs {line}"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for file in distribution.files or ():
                if ".." not in file.parts and "__pycache__" not in file.parts:
                    wheel.write(str(distribution.locate_file(file)), str(file))
