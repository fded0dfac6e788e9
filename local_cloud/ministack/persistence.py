"""Saves ministack's state while it runs; by itself it would do so at its end only."""

import asyncio
import logging
import time

from ministack import app

log = logging.getLogger("headrace.ministack")

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


async def save_regularly() -> None:
    """Saves every few seconds, so that a killed process loses seconds and not everything. On ministack's loop."""
    while True:
        await asyncio.sleep(_SECONDS)
        save()


def save() -> None:
    """Saves what can be saved; says once that something could not, and once that all could again."""
    global _failing_since
    _failures.messages.clear()
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
