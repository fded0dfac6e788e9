"""The time by which the engine waits before it tries a step again; a test takes one that is ahead of the machine's."""

import threading
import time


class Clock:
    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Waits for the event for that long at most; says whether it is set."""
        return event.wait(seconds)
