"""Lines of a log that are new since the last look."""

from __future__ import annotations

from datetime import datetime, timedelta

from headrace.client.environment import Environment
from headrace.client.executions import Execution, Step
from headrace.client.log_events import Line, read_lines
from headrace.errors import NotFound

OVERLAP = timedelta(seconds=60)  # events can arrive out of order; each is printed once


def last_lines(environment: Environment, execution: Execution, step: Step, count: int) -> list[str]:
    """The last `count` lines of a step's job.

    Raises:
        NotFound: there is no log; the message says why.
    """
    return [line.text for line in _last(read_lines(environment, execution, step), count)]


class NewLines:
    """The lines of a step since the last look; `tail` limits the first look."""

    def __init__(self, tail: int | None = None) -> None:
        self._tail = tail
        self._seen: set[str] = set()
        self._latest: datetime | None = None

    def read(self, environment: Environment, execution: Execution, step: Step) -> list[Line]:
        since = None if self._latest is None else self._latest - OVERLAP
        try:
            lines = read_lines(environment, execution, step, since=since)
        except NotFound:
            return []
        new = [line for line in lines if line.id not in self._seen]
        self._seen = {line.id for line in lines}
        self._latest = max(line.moment for line in lines)
        new, self._tail = _last(new, self._tail), None
        return new


def _last(lines: list[Line], count: int | None) -> list[Line]:
    return lines if count is None else lines[max(0, len(lines) - count) :]
