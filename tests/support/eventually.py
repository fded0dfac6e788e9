"""The suite's one way to wait: poll until a condition holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(what: str, look: Callable[[], T | None], *, seconds: float = 120.0, interval: float = 0.1) -> T:
    """The first answer of `look` that is true; `what` says in an error what has not come about within the seconds."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what} ({found!r})"
        time.sleep(interval)
    return found
