"""Name patterns as the shell and Python's fnmatch read them: `*`, `?` and `[seq]`; letter case counts."""

from __future__ import annotations

import re
import string
from collections import deque
from fnmatch import fnmatchcase

_TOKEN = re.compile(r"\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_USUAL = string.ascii_letters + string.digits + "-_. "


def common_name(one: str, other: str) -> str | None:
    """A shortest name that both patterns match; None if there is none.

    Walks both patterns at once, breadth first. Of the infinitely many characters it tries those that the patterns
    hold and the usual ones: every set of a pattern that matches anything matches one of these.
    """
    left, right = _TOKEN.findall(one), _TOKEN.findall(other)
    characters = dict.fromkeys(_USUAL + one + other)
    seen, waiting = {(0, 0)}, deque([(0, 0, "")])
    while waiting:
        i, j, name = waiting.popleft()
        if i == len(left) and j == len(right):
            return name
        steps = []
        if i < len(left) and left[i] == "*":
            steps.append((i + 1, j, ""))
        if j < len(right) and right[j] == "*":
            steps.append((i, j + 1, ""))
        if i < len(left) and j < len(right):
            both = (character for character in characters if _takes(left[i], character) and _takes(right[j], character))
            character = next(both, None)
            if character is not None:
                steps.append((i + (left[i] != "*"), j + (right[j] != "*"), character))
        for k, m, more in steps:
            if (k, m) not in seen:
                seen.add((k, m))
                waiting.append((k, m, name + more))
    return None


def _takes(token: str, character: str) -> bool:
    return token == "*" or fnmatchcase(character, token)
