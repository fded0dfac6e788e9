"""What the reader reads: the files of a data set with their sizes, and as much of their bytes as it asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from data_sets.kinds import HEAD_BYTES

LONGEST_TEXT = 64 * 2**20  # bytes of a list or a table; 100,000 rows have about 5 MB


@dataclass(frozen=True, slots=True)
class Entry:
    """A file by its path below the data set, with `/` between the parts."""

    path: str
    size: int
    checksum: str = ""  # "CRC32:<base64>" or another text that equal bytes have in common; empty if there is none


class Listing(Protocol):
    """A data set that can be read: a folder, an archive, or the objects below a prefix.

    Example: read(FolderListing.of(Path("birds"))).classes
    """

    @property
    def name(self) -> str:
        """The data set's name in messages."""

    @property
    def entries(self) -> Sequence[Entry]: ...

    def heads(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        """The first HEAD_BYTES of these files, or of as many of them as can be read in time."""

    def read(self, path: str) -> bytes:
        """A whole file of at most LONGEST_TEXT bytes."""

    def digest(self, path: str) -> str:
        """A text that files of equal size share only if their bytes are equal; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """A folder on this machine. `hash` makes the digest of a file; without it, equal bytes are not looked for."""

    name: str
    entries: tuple[Entry, ...]
    files: Mapping[str, Path]
    hash: Callable[[Path], str] = field(default=lambda path: "")

    @classmethod
    def of(
        cls,
        root: Path,
        paths: Iterable[str] | None = None,
        *,
        name: str = "",
        hash: Callable[[Path], str] | None = None,
    ) -> FolderListing:
        """All files below `root`, or those at `paths`. `hash` makes the digest of a file's bytes."""
        files = {path: root / path for path in sorted(paths_below(root) if paths is None else paths)}
        entries = tuple(Entry(path, os.stat(f"{root}/{path}").st_size) for path in files)
        return cls(name or root.name, entries, files, hash or (lambda path: ""))

    def heads(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        return {path: _head(self.files[path]) for path in paths}

    def read(self, path: str) -> bytes:
        return self.files[path].read_bytes()

    def digest(self, path: str) -> str:
        return self.hash(self.files[path])


def paths_below(root: Path) -> Iterator[str]:
    """The files below a folder, relative to it. In a fifth of the time that pathlib takes for them."""
    for folder, _, names in os.walk(root):
        within = folder[len(str(root)) + 1 :].replace(os.sep, "/")
        yield from (f"{within}/{name}" if within else name for name in names)


def _head(file: Path) -> bytes:
    with file.open("rb", buffering=0) as opened:
        return opened.read(HEAD_BYTES)
