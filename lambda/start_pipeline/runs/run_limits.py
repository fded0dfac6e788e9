"""The limits on an environment's runs: max_runs_per_day and max_concurrent_runs, over all lines and data sets.

ledger/limits/starts.json lists the starts of the last 24 hours, and the starts whose runs are in progress. A start is
added to the list before the ledger has its entry, with a conditional write: of two workers at the same moment, one sees
the other's start. A start's name consists of run key and attempt. A worker that retries, after a crash or with a
duplicate of the message, finds the name in the list, so the start counts once. A start that is never completed counts
as a run of that day, and as in progress for UNCONFIRMED_SECONDS.

Executions that users start themselves are not limited, neither here nor by max_run_cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

from shared import log, notice_queue, s3_json
from shared.aws import S3Client, SqsClient
from shared.env_vars import Variables
from shared.errors import RunLimitError

DAY = 24 * 3600.0
UNCONFIRMED_SECONDS = 3_600.0  # longer than five receives of a failed message take
ATTEMPTS = 10  # to add a start while other workers add theirs
MAX_LIMIT = 1_000
Limit = Annotated[int, range(1, MAX_LIMIT + 1)]
STARTS = "ledger/limits/starts.json"
PER_DAY, CONCURRENT = "max_runs_per_day", "max_concurrent_runs"


class ConcurrencyLimitReached(Exception):
    """The maximum number of runs is in progress: check again when one of them has ended."""


class Contended(Exception):
    """Other workers changed the list at every attempt: try again in a moment."""


@dataclass(frozen=True, slots=True)
class Start:
    """`at` in seconds since 1970; `execution_arn` is None until the start is confirmed."""

    name: str
    at: float
    execution_arn: str | None = None
    ended: bool = False

    def is_under_way(self, now: float) -> bool:
        return not self.ended and (self.execution_arn is not None or now - self.at < UNCONFIRMED_SECONDS)


@dataclass(frozen=True, slots=True)
class RunLimits(Variables):
    """The maximum number of runs in 24 hours, and of concurrent runs; None for no limit."""

    per_day: Annotated[Limit | None, "MAX_RUNS_PER_DAY"] = None
    concurrent: Annotated[Limit | None, "MAX_CONCURRENT_RUNS"] = None

    def __bool__(self) -> bool:
        return self.per_day is not None or self.concurrent is not None

    def reserve(
        self,
        s3: S3Client,
        bucket: str,
        name: str,
        data_set: str,
        *,
        now: float,
        begun: bool,
        is_running: Callable[[str], bool],
    ) -> None:
        """Add the start to the list, unless it is there. A start that has `begun` may be running: it is not refused.

        Raises RunLimitError, ConcurrencyLimitReached, Contended.
        """
        if not self:
            return
        still_running = cache(is_running)
        for _ in range(ATTEMPTS):
            held = s3_json.read(s3, bucket, STARTS)
            starts = [] if held is None else [Start(*row) for row in held.content["starts"]]
            if any(start.name == name for start in starts):
                return
            if self.concurrent is not None:
                starts = [_seen(start, still_running) for start in starts]
            if not begun:
                self._refuse(starts, data_set, now)
            kept = [start for start in starts if start.at > now - DAY or self._matters_still(start, now)]
            content = {"starts": [astuple(start) for start in (*kept, Start(name, now))]}
            if held is None:
                noted = s3_json.create(s3, bucket, STARTS, content)
            else:
                noted = s3_json.replace(s3, bucket, STARTS, content, etag=held.etag)
            if noted is not None:
                return
        raise Contended(f"{STARTS} was changed {ATTEMPTS} times meanwhile")

    def confirm(self, s3: S3Client, bucket: str, name: str, execution_arn: str) -> None:
        """Record the start's execution. If that fails, the start counts as in progress for UNCONFIRMED_SECONDS."""
        if not self:
            return
        for _ in range(ATTEMPTS):
            held = s3_json.read(s3, bucket, STARTS)
            starts = [] if held is None else [Start(*row) for row in held.content["starts"]]
            if held is None or all(start.name != name or start.execution_arn for start in starts):
                return
            known = [replace(start, execution_arn=execution_arn) if start.name == name else start for start in starts]
            content = {"starts": [astuple(start) for start in known]}
            if s3_json.replace(s3, bucket, STARTS, content, etag=held.etag) is not None:
                return
        log.info("start not confirmed", start=name, execution=execution_arn)

    def _matters_still(self, start: Start, now: float) -> bool:
        return self.concurrent is not None and start.is_under_way(now)

    def _refuse(self, starts: list[Start], data_set: str, now: float) -> None:
        recent = sorted(start.at for start in starts if start.at > now - DAY)
        if self.per_day is not None and len(recent) >= self.per_day:
            free = datetime.fromtimestamp(recent[len(recent) - self.per_day] + DAY, UTC)
            raise RunLimitError(
                f"no run is started on {data_set}: {_runs(len(recent))} started in the last 24 hours, and {PER_DAY} is "
                f"{self.per_day}",
                hint=f"wait until {free:%Y-%m-%d %H:%M} UTC, or raise {PER_DAY} in environments.toml and deploy; "
                "then: headrace redrive",
                setting=PER_DAY,
                limit=self.per_day,
                free=f"{free:%Y-%m-%d %H:%M} UTC",
            )
        under_way = sum(start.is_under_way(now) for start in starts)
        if self.concurrent is not None and under_way >= self.concurrent:
            raise ConcurrencyLimitReached(f"{_runs(under_way)} under way, and {CONCURRENT} is {self.concurrent}")


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def send_notice(
    sqs: SqsClient, queue_url: str, data_set: str, setting: str, limit: int | None, *, now: float, free: str = ""
) -> None:
    """Queue the notice of a limit. `notify` publishes the first of each limit and day."""
    day = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"
    notice_queue.send(
        sqs, queue_url, "run-limit", data_set=data_set, setting=setting, limit=limit or 0, free=free, day=day
    )


def _seen(start: Start, is_running: Callable[[str], bool]) -> Start:
    if start.ended or start.execution_arn is None:
        return start
    return replace(start, ended=not is_running(start.execution_arn))
