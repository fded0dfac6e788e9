"""Wait for a resource while the function has time left."""

from collections.abc import Callable

from shared.errors import DestroyError

POLL_SECONDS = 5.0
SPARE_SECONDS = 30.0  # of the function's time, kept for the answer to CloudFormation


class Deadline:
    def __init__(self, seconds_left: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._seconds_left = seconds_left
        self._sleep = sleep

    def wait(self, reason: str) -> None:
        if self._seconds_left() < SPARE_SECONDS + POLL_SECONDS:
            raise DestroyError(f"the time is up and {reason}", hint="delete the stack again: it goes on from there")
        self._sleep(POLL_SECONDS)

    def check(self, reason: str) -> None:
        if self._seconds_left() < SPARE_SECONDS:
            raise DestroyError(f"the time is up and {reason}", hint="delete the stack again: it goes on from there")
