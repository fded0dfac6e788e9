"""``python -m pip install``: links packages of the project's environment into ``PIP_TARGET``.

Understands ``install [-r FILE]… [--find-links DIR] [SPEC]…``; wheels in a ``--find-links`` folder are unpacked.
A requirement that neither has is an error, with the command that would put it right. With ``--no-index`` there are the
wheels only. PIP_NO_INDEX and PIP_FIND_LINKS mean the same, as for pip itself.
"""

import argparse
import os
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(.*)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="pip")
    parser.add_argument("command", choices=["install"])
    parser.add_argument("-r", "--requirement", action="append", default=[], type=Path)
    links = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    parser.add_argument("--find-links", action="append", default=links, type=Path)
    parser.add_argument("--no-index", action="store_true", default=bool(os.environ.get("PIP_NO_INDEX")))
    parser.add_argument("specifications", nargs="*")
    options, _ = parser.parse_known_intermixed_args()
    lines = [line for file in options.requirement for line in file.read_text().splitlines()]
    target = Path(os.environ["PIP_TARGET"])
    for line in [*lines, *options.specifications]:
        text = line.split("#")[0].split(";")[0].strip()
        match = _REQUIREMENT.fullmatch(text)
        if match is None or _unpack(match.group(1), match.group(2).strip(), options.find_links, target):
            continue
        if options.no_index:
            this = f"Python {sys.version_info.major}.{sys.version_info.minor}, which jobs have on this machine"
            print(f"ERROR: Could not find a version that satisfies the requirement {text} for {this}", file=sys.stderr)
            return 1
        if not _take(match.group(1), match.group(2).strip(), target):
            print(
                f"ERROR: {text} is not in the project's environment, so it cannot be installed on this machine.\n"
                "hint: name it, with the same version, under [project.optional-dependencies] in pyproject.toml, "
                "then run `make install`",
                file=sys.stderr,
            )
            return 1
    return 0


def _unpack(name: str, version: str, folders: list[Path], target: Path) -> bool:
    """A wheel of the folders."""
    for folder in folders:
        for wheel in sorted(folder.glob("*.whl")):
            parts = wheel.name.split("-")
            if _normal(parts[0]) == _normal(name) and _admits(version, parts[1]) and _fits(*parts[-3:-1]):
                zipfile.ZipFile(wheel).extractall(target)
                return True
    return False


def _fits(pythons: str, abis: str) -> bool:
    """Whether a wheel with these tags is for this Python; one for the stable ABI is for later ones too."""
    this = sys.version_info.minor
    for python in pythons.split("."):
        minor = int(python[3:]) if re.fullmatch(r"cp3\d+", python) else None
        if python in ("py3", f"cp3{this}") or (minor is not None and minor <= this and "abi3" in abis.split(".")):
            return True
    return False


def _take(name: str, version: str, target: Path) -> bool:
    """What the project's environment has."""
    host = Path(__file__).with_name("host.txt").read_text()
    for distribution in metadata.distributions(path=[host]):
        if _normal(distribution.metadata["Name"]) == _normal(name) and _admits(version, distribution.version):
            _link(distribution, target)
            return True
    return False


def _link(distribution: metadata.Distribution, target: Path) -> None:
    root = Path(str(distribution.locate_file("")))
    for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        if not (target / name).exists():
            (target / name).symlink_to(root / name)


def _admits(constraint: str, version: str) -> bool:
    """Only exact pins are judged; a range is taken as met, because the project's environment was made from it."""
    return not constraint.startswith("==") or constraint.removeprefix("==").strip() == version.split("+")[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
