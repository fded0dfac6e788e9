"""Faults on request: how a client takes a throttled, a failed, a slow or a lost answer can be tried, and tested.

``sagemaker/faults.toml`` in the state directory says which calls go wrong. It may be written and changed while the
local cloud runs; without the file nothing does (`watched_file`).

    [[fault]]
    operation = "StartPipelineExecution"  # an operation of the SageMaker API, InvokeEndpoint, or "*"
    kind = "throttle"
    times = 3                             # this often, then never again; left out: always
    every = 2                             # only each second call; left out: each

kind            what the caller sees
throttle        ThrottlingException (HTTP 400); nothing was done
error           InternalFailure (500), or with ``code = "ServiceUnavailable"`` that (503); nothing was done
slow            the true answer, ``seconds`` late
lost-answer     InternalFailure (500), but the call was carried out and what it changed is durable

The first rule that fits a call decides. Only calls that IAM allows count; the engine's own calls as a pipeline's role
count as well. Counting restarts when the file changes or the local cloud restarts. While the file is malformed, every
call fails.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.watched_file import WatchedFile

log = logging.getLogger(__name__)

_KINDS = ("throttle", "error", "slow", "lost-answer")
_MEMBERS = ("operation", "kind", "times", "every", "seconds", "code")
_MAX_SECONDS = 60.0  # seconds that an answer may be late: SageMaker's clients wait as long for one


class _Throttled(ServiceError):
    code = "ThrottlingException"


class _InternalFailure(ServiceError):
    status = 500


class _ServiceUnavailable(ServiceError):
    code = "ServiceUnavailable"
    status = 503


_ERRORS: dict[str, type[ServiceError]] = {
    "InternalFailure": _InternalFailure, "ServiceUnavailable": _ServiceUnavailable,
}  # fmt: skip


@dataclass(slots=True)
class Fault:
    """One rule, and how many calls it has seen and spoilt."""

    operation: str
    kind: str
    times: float
    every: int
    seconds: float
    error: type[ServiceError]
    calls: int = 0
    done: int = 0

    def matches(self, operation: str) -> bool:
        if self.operation not in (operation, "*") or self.done >= self.times:
            return False
        self.calls += 1
        if self.calls % self.every:
            return False
        self.done += 1
        return True


class Faults:
    """The rules of the file as it is now. Safe to use from several threads: ``times`` is exact."""

    def __init__(self, file: Path, operations: Collection[str]) -> None:
        self._file = WatchedFile(file, lambda document: list(_rules(document, operations)))
        self._lock = threading.Lock()

    @contextmanager
    def during(self, operation: str) -> Iterator[None]:
        """Carries out one call; raises ServiceError when it is to fail, before or after it was carried out."""
        fault = self._next(operation)
        if fault is None:
            yield
            return
        log.warning("fault: %s is struck by %s (%d of %s)", operation, fault.kind, fault.done, fault.times)
        match fault.kind:
            case "throttle":
                raise _Throttled("Rate exceeded")
            case "error":
                raise fault.error(f"{operation} failed: a fault that {self._file.file} asks for.")
            case "slow":
                time.sleep(fault.seconds)
                yield
            case "lost-answer":
                try:
                    yield
                finally:  # an error answer is lost as well
                    raise _InternalFailure(
                        f"The answer to {operation} was lost: a fault that {self._file.file} asks for."
                    )

    def _next(self, operation: str) -> Fault | None:
        rules = self._file.read()
        with self._lock:
            return next((rule for rule in rules if rule.matches(operation)), None)


def _rules(document: dict[str, Any], operations: Collection[str]) -> Iterator[Fault]:
    """Raises ValueError at the first thing that is not a valid rule; an empty document has none."""
    if not document:
        return
    tables = document.get("fault")
    if set(document) != {"fault"} or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise ValueError("it must hold [[fault]] tables and nothing else")
    for number, table in enumerate(tables, 1):
        try:
            yield _rule(table, operations)
        except ValueError as error:
            raise ValueError(f"fault {number}: {error}") from error


def _rule(table: dict[str, Any], operations: Collection[str]) -> Fault:
    unknown = sorted(set(table) - set(_MEMBERS))
    if unknown:
        raise ValueError(f"'{unknown[0]}' is none of {', '.join(_MEMBERS)}")
    operation, kind = table.get("operation"), table.get("kind")
    if operation not in (*operations, "*"):
        raise ValueError(f"operation is {operation!r}, not '*' or one of {', '.join(sorted(operations))}")
    if kind not in _KINDS:
        raise ValueError(f"kind is {kind!r}, not one of {', '.join(_KINDS)}")
    for member, only in (("seconds", "slow"), ("code", "error")):
        if member in table and kind != only:
            raise ValueError(f"{member} goes with the kind {only}, not with {kind}")
    code = table.get("code", "InternalFailure")
    if code not in _ERRORS:
        raise ValueError(f"code is {code!r}, not one of {', '.join(_ERRORS)}")
    seconds = table.get("seconds", 0)
    if kind == "slow" and (type(seconds) not in (int, float) or not 0 < seconds <= _MAX_SECONDS):
        raise ValueError(f"seconds is {seconds!r}, not between 0 and {_MAX_SECONDS:.0f}")
    return Fault(operation, kind, _count(table, "times", float("inf")), int(_count(table, "every", 1)), seconds,
                 _ERRORS[code])  # fmt: skip


def _count(table: dict[str, Any], member: str, default: float) -> float:
    value = table.get(member, default)
    if member in table and (type(value) is not int or value < 1):
        raise ValueError(f"{member} is {value!r}, not a whole number from 1 on")
    return float(value)
