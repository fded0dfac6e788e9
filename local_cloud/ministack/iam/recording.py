"""Who asked for what: each decision on an identity policy, to find out which permissions are used.

While ``authorizations.jsonl`` is in the state directory, a line is added for every request of a role or user that is
decided for the first time: who, which action on which resource, in which context, and the decision. Create the empty
file to begin, delete it to end.
"""

import contextvars
import dataclasses
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator

FILE = "authorizations.jsonl"


_asked = contextvars.ContextVar[list[Any] | None]("asked", default=None)


def install(state: Path) -> None:
    iam_evaluator.evaluate = _noted(iam_evaluator.evaluate)
    iam_evaluator.enforce = _recorded(iam_evaluator.enforce, state / FILE)


def _noted(original: Callable[..., Any]) -> Callable[..., Any]:
    """The first evaluation of a request is of the caller's own policies; resource policies come after it."""

    def evaluate(context: Any, *policies: Any) -> Any:
        asked = _asked.get()
        if asked is not None:
            asked.append(context)
        return original(context, *policies)

    return evaluate


def _recorded(original: Callable[..., Any], file: Path) -> Callable[..., Any]:
    lock, written = threading.Lock(), set[str]()

    def enforce(*arguments: Any, **more: Any) -> Any:
        if not file.exists():
            written.clear()
            return original(*arguments, **more)
        asked: list[Any] = []
        token = _asked.set(asked)
        try:
            denied = original(*arguments, **more)
        finally:
            _asked.reset(token)
        # Of the account's root only bucket policies' denials are evaluated: no policy of a role is shown by them.
        if asked and not asked[0].principal_arn.endswith(":root"):
            decision = {"decision": "Deny" if denied else "Allow"}
            line = json.dumps(dataclasses.asdict(asked[0]) | decision, sort_keys=True, default=str)
            with lock:
                if line not in written:
                    written.add(line)
                    _append(file, line)
        return denied

    return enforce


def _append(file: Path, line: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:  # deleted a moment ago
        return
    with os.fdopen(descriptor, "a") as opened:
        opened.write(f"{line}\n")
