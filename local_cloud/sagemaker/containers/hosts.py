"""The instances of a job. Each is a process of this machine with its own ``/opt/ml``; all share the machine's cores.

They find each other as on AWS, by the names in ``resourceconfig.json``: algo-1, algo-2, … are in the ``/etc/hosts``
that a job sees, each as a loopback address that belongs to this job. Ports that a process binds on all addresses are
the machine's, though: jobs side by side would meet at one, so each job gets a free one in ``MASTER_PORT``.
"""

import errno
import hashlib
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from local_cloud.sagemaker.containers.launcher import Process

MAX_HOSTS = 16  # they share one machine
GRACE_SECONDS = 120.0  # between SIGTERM and SIGKILL, as on AWS
_POLL_SECONDS = 0.1
_RENDEZVOUS_PORTS = range(20_000, 32_000)


class ShuttingDown(Exception):
    """The local cloud is ending: the job's record stays as it is, and the next start runs it again."""


@dataclass(frozen=True, slots=True)
class Host:
    """One instance of a job."""

    name: str
    root: Path
    """What its process sees as ``/opt/ml``."""
    address: str


def make_hosts(directory: Path, count: int) -> tuple[Host, ...]:
    """The hosts of the job whose files lie in ``directory``, by number."""
    # 127.0.0.0/8 is all this machine; two bytes of the job's name keep the jobs that run side by side apart.
    network = hashlib.sha256(str(directory).encode()).digest()
    prefix = f"127.{max(1, network[0])}.{network[1]}"
    return tuple(
        Host(name=f"algo-{number}", root=directory / f"algo-{number}" / "ml", address=f"{prefix}.{number}")
        for number in range(1, count + 1)
    )


def rendezvous_port() -> int:
    """A free port for the processes of a job to meet at, as torchrun's do; one that no other job will be given soon.

    It is below those that Linux gives to connections (32768 and up): torchrun listens seconds later, and a process of
    the job would wait for an answer of whatever has got the port meanwhile.
    """
    for port in random.sample(_RENDEZVOUS_PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise OSError(errno.EADDRINUSE, "no port is free for the processes of a job to meet at")


class ExitReason(StrEnum):
    """Why the processes of a job ended."""

    EXITED = "exited"
    """By themselves, or because one of them failed."""
    STOPPED = "stopped"
    """The job was stopped by a call."""
    INTERRUPTED = "interrupted"
    """Spot capacity was taken away, with a SIGTERM first."""
    KILLED = "killed"
    """Spot capacity was taken away without a warning."""
    MAX_RUNTIME = "max-runtime"
    """The job ran longer than MaxRuntimeInSeconds."""
    MAX_WAIT = "max-wait"
    """A spot job waited longer than MaxWaitTimeInSeconds."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the processes of a job ended."""

    reason: ExitReason
    code: int
    """Of the first that failed, or 0."""


def run_to_end(
    processes: Iterable[Process],
    *,
    reason_to_end: Callable[[float], ExitReason | None],
    is_abandoned: Callable[[], bool],
    tick: Callable[[], None],
) -> Ending:
    """Waits until all have ended. When one fails, or there is a reason to end, the others get a SIGTERM.

    ``reason_to_end`` is given the seconds since the start. Raises ShuttingDown, and leaves them running.
    """
    running = list(processes)
    begun = ticked = time.monotonic()
    kill_at, reason, code = float("inf"), ExitReason.EXITED, 0
    while True:
        for process in list(running):
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_POLL_SECONDS / len(running))
                code = code or status
                process.kill()  # whatever it left behind
                running.remove(process)
        if not running:
            return Ending(reason, code)
        if is_abandoned():
            raise ShuttingDown
        now = time.monotonic()
        if reason == ExitReason.EXITED and code == 0:
            reason = reason_to_end(now - begun) or ExitReason.EXITED
        if reason == ExitReason.KILLED or now > kill_at:
            for process in running:
                process.kill()
        elif kill_at == float("inf") and (reason != ExitReason.EXITED or code != 0):
            kill_at = now + GRACE_SECONDS
            for process in running:
                process.terminate()
        if now - ticked > 1.0:
            ticked = now
            tick()
