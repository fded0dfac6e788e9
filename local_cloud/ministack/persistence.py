"""Saves ministack's state while it runs; by itself it would do so at its end only.

ministack copies the state of queues and logs, and encodes each state piece by piece in Python: during an upload of many
files that was a third of what the server did. Here it is encoded as it is, at once, while nobody changes it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import IO, Any

from ministack import app
from ministack.core import persistence
from ministack.services import cloudwatch_logs, sqs

log = logging.getLogger(__name__)

_SECONDS = 5.0


class _Failures(logging.Filter):
    """Keeps what ministack says of each service that it cannot save, every few seconds, and logs none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            self.messages.append(record.getMessage())
            return False
        return True


_failures = _Failures()
_failing_since: float | None = None


def install() -> None:
    logging.getLogger("persistence").addFilter(_failures)
    persistence.json = SimpleNamespace(dump=_dump, load=json.load, JSONDecodeError=json.JSONDecodeError)
    for module in (sqs, cloudwatch_logs):  # they copy nothing but their state, and nothing but that in get_state
        module.copy = SimpleNamespace(deepcopy=lambda state: state)


def _dump(document: Any, file: IO[str], default: Callable[[Any], Any]) -> None:
    """`json.dump` never uses the encoder in C, which takes a tenth of the time."""
    file.write(json.dumps(document, default=default))


async def save_regularly() -> None:
    """Saves every few seconds, so that a killed process loses seconds and not everything. On ministack's loop."""
    while True:
        await asyncio.sleep(_SECONDS)
        save()


def save() -> None:
    """Saves what can be saved; says once that something could not, and once that all could again."""
    global _failing_since
    _failures.messages.clear()
    with sqs._queues_lock, cloudwatch_logs._log_events_lock:
        app.save_all(app._build_persistence_save_dict())
    if _failures.messages and _failing_since is None:
        _failing_since = time.monotonic()
        log.error(
            "the state is not saved: %s (%d services). hint: make room on the disk; saving is tried again every %d s",
            _failures.messages[0], len(_failures.messages), _SECONDS,
        )  # fmt: skip
    elif not _failures.messages and _failing_since is not None:
        # The log may be on the same disk, and have missed the line above.
        log.warning("the state is saved again, after %d s in which it was not", time.monotonic() - _failing_since)
        _failing_since = None
