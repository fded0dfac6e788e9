"""Read a requirements file as pip does: lines that are continued, comments, options, and hashes of what is named.

A file with one hash needs one for each requirement: pip then takes nothing else, dependencies included, except what
is installed already (https://pip.pypa.io/en/stable/topics/secure-installs/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"(^|\s+)#.*$")
_HASH = re.compile(r"\s*--hash(?:=|\s+)(\S+)")
_REQUIRE = "--require-hashes"


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    """Of its first line in the file, from 1."""
    text: str
    """A requirement, or an option of pip, without comment and hashes."""
    hashes: tuple[str, ...]
    """As sha256:<hexadecimal digits>."""

    @property
    def is_option(self) -> bool:
        return self.text.startswith("-")


def read(text: str) -> list[Line]:
    found = []
    for number, joined in _joined(text):
        words = _COMMENT.sub("", joined).strip()
        hashes = tuple(_HASH.findall(words))
        words = _HASH.sub("", words).strip()
        if words:  # pip passes over hashes that a comment cut off from their requirement
            found.append(Line(number, words, hashes))
    return found


def needs_hashes(lines: Sequence[Line]) -> bool:
    """Whether pip takes only what has a hash."""
    return any(line.hashes or line.text == _REQUIRE for line in lines)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """A line that ends with a backslash goes on in the next one, unless it is a comment."""
    first, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        first = number if not parts else first
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts.append(line[:-1])
            continue
        yield first, "".join([*parts, line])
        parts = []
    if parts:
        yield first, "".join(parts)
