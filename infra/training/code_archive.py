"""The training code, with the reader of data sets, as an archive of the same bytes wherever and whenever it is made.

Its hash is its address in the data bucket and part of what training's results depend on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from source_code.archive import File, pack

LEFT_OUT = frozenset({"__pycache__", "tests", "node_modules", "requirements.in"})


@dataclass(frozen=True, slots=True)
class CodeArchive:
    content: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def of(cls, folder: Path, *packages: Path) -> CodeArchive:
        """All files of `folder` at the archive's top level, and each of the `packages` as a folder beside them."""
        return cls(pack(code_files(folder, *packages)))


def code_files(folder: Path, *packages: Path) -> dict[str, File]:
    """The files of the code by their path in the archive.

    Left out are hidden files, tests, compiled Python, and what requirements.txt is made from.
    """
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for package in packages:
        found |= {path.relative_to(package.parent).as_posix(): path for path in _files(package)}
    return {name: File(path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in found.items()}


def _files(folder: Path) -> Iterator[Path]:
    def wanted(path: Path) -> bool:
        names = path.relative_to(folder).parts
        return path.is_file() and path.suffix != ".pyc" and not any(n in LEFT_OUT or n.startswith(".") for n in names)

    return (path for path in folder.rglob("*") if wanted(path))
