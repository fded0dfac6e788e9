"""``python -m pip install``: links packages of the project's environment into ``PIP_TARGET``.

Understands ``install [-r FILE]… [--find-links DIR] [SPEC]…``; wheels in a ``--find-links`` folder are unpacked.
What the image itself has stays as it is, and ``uninstall``, with which the SageMaker SDK's scripts begin, removes
nothing. A requirement that is nowhere is an error, with the command that fixes it. With ``--no-index`` there are the
wheels only. PIP_NO_INDEX and PIP_FIND_LINKS mean the same, as for pip itself.

Where one requirement of a file has a hash, or the file says ``--require-hashes``, each needs one, as for pip, and a
wheel is compared with it. What the project's environment has is linked by its version: its own lock file has hashes,
and an installed package is no longer the file that they are of.
"""

import argparse
import hashlib
import os
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(.*)")
_HASH = re.compile(r"\s*--hash[= ]\s*(\S+)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="pip")
    parser.add_argument("-V", "--version", action="version", version="pip, the local cloud's stand-in")
    parser.add_argument("command", choices=["install", "uninstall", "list", "freeze"])
    parser.add_argument("-y", "--yes", action="store_true")
    parser.add_argument("-r", "--requirement", action="append", default=[], type=Path)
    links = [Path(folder) for folder in os.environ.get("PIP_FIND_LINKS", "").split()]
    parser.add_argument("--find-links", action="append", default=links, type=Path)
    parser.add_argument("--no-index", action="store_true", default=bool(os.environ.get("PIP_NO_INDEX")))
    parser.add_argument("specifications", nargs="*")
    options, _ = parser.parse_known_intermixed_args()
    if options.command != "install":
        return _other(options.command, options.specifications)
    lines = [line for file in options.requirement for line in re.sub(r"\\\n", " ", file.read_text()).splitlines()]
    target = Path(os.environ["PIP_TARGET"])
    asked = [(_HASH.sub("", line.split("#")[0]).strip(), _HASH.findall(line)) for line in lines]
    if any(hashes or text == "--require-hashes" for text, hashes in asked):
        without = [text for text, hashes in asked if _REQUIREMENT.fullmatch(text) and not hashes]
        if without:
            said = "Hashes are required in --require-hashes mode, but they are missing from some requirements"
            print(f"ERROR: {said}:", *(f"    {text}" for text in without), sep="\n", file=sys.stderr)
            return 1
    for words, hashes in [*asked, *((words, []) for words in options.specifications)]:
        text = words.split(";")[0].strip()
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            continue
        wheel = _wheel(match.group(1), match.group(2).strip(), options.find_links)
        if wheel is not None:
            found = f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
            if hashes and found not in hashes:
                said = "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"
                print(f"ERROR: {said}:\n    {text} from {wheel}: got {found}", file=sys.stderr)
                return 1
            zipfile.ZipFile(wheel).extractall(target)
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


def _other(command: str, names: list[str]) -> int:
    present = {_normal(it.metadata["Name"]): it.version for it in metadata.distributions()}
    if command != "uninstall":
        print(*(f"{name}=={version}" for name, version in sorted(present.items())), sep="\n")
        return 0
    for name in names:
        why = "it belongs to the image" if _normal(name) in present else "it is not installed"
        print(f"WARNING: Skipping {name} as {why}.", file=sys.stderr)
    return 0


def _wheel(name: str, version: str, folders: list[Path]) -> Path | None:
    """One of the folders."""
    for folder in folders:
        for wheel in sorted(folder.glob("*.whl")):
            parts = wheel.name.split("-")
            if _normal(parts[0]) == _normal(name) and _admits(version, parts[1]) and _fits(*parts[-3:-1]):
                return wheel
    return None


def _fits(pythons: str, abis: str) -> bool:
    """Whether a wheel with these tags is for this Python; one for the stable ABI is for later ones too."""
    this = sys.version_info.minor
    for python in pythons.split("."):
        minor = int(python[3:]) if re.fullmatch(r"cp3\d+", python) else None
        if python in ("py3", f"cp3{this}") or (minor is not None and minor <= this and "abi3" in abis.split(".")):
            return True
    return False


def _take(name: str, version: str, target: Path) -> bool:
    """What the image has, or the project's environment."""
    image, host = str(Path(__file__).parents[1]), Path(__file__).with_name("host.txt").read_text()
    for distribution in metadata.distributions(path=[image, host]):
        if _normal(distribution.metadata["Name"]) == _normal(name) and _admits(version, distribution.version):
            if not Path(str(distribution.locate_file(""))).samefile(image):
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
