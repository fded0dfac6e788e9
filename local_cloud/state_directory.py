"""The state directory of a local cloud: its format, the lock of its server, its port, and what the disk refuses."""

import errno
import fcntl
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_cloud.errors import ForeignState, LocalCloudError, PortInUse

_FORMAT = 1
_PREFERRED_PORT = 4566
_WATCH_SECONDS = 0.2


def claim(state: Path) -> None:
    """Makes the state directory, or sees that an existing one is ours and of this format."""
    marker = state / "format.json"
    if marker.exists():
        try:
            found = json.loads(marker.read_text())["format"]
        except (ValueError, TypeError, KeyError) as error:
            raise ForeignState(
                f"{marker} does not say in which format {state} was written.\n"
                f"hint: bring the file back, or start afresh: rm -r {state}"
            ) from error
        if found != _FORMAT:
            raise ForeignState(
                f"{state} was written in format {found}; this version reads format {_FORMAT}.\n"
                f"hint: use the version that wrote it, or start afresh: rm -r {state}"
            )
        return
    if state.exists() and any(state.iterdir()):
        raise ForeignState(
            f"{state} is not empty and was not made by the local cloud.\n"
            "hint: name another directory with HEADRACE_STATE, or empty this one"
        )
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(marker, json.dumps({"format": _FORMAT}))


@contextmanager
def usable(state: Path) -> Iterator[None]:
    """What the disk refuses, as an error that says so."""
    try:
        yield
    except OSError as error:
        hint = f"ls -ld {state}; it has to be a directory of yours"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = make_room(state)
        raise LocalCloudError(
            f"the state directory {state} cannot be used: {error.strerror}"
            + (f" ({error.filename})" if error.filename else "")
            + f".\nhint: {hint}"
        ) from error


def make_room(state: Path) -> str:
    return f"make room (df -h {state}), or name a directory on another disk with HEADRACE_STATE"


def write_whole(path: Path, text: str) -> None:
    """All of it or, on a full disk, nothing: half a file would stand in the way of the next start."""
    draft = path.with_suffix(".draft")
    try:
        draft.write_text(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def hold_lock(state: Path, port: int) -> None:
    """For the server process: takes the lock for as long as the process lives; exits if it is taken."""
    descriptor = os.open(state / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not try_lock(descriptor):
        sys.exit("another local cloud holds this state directory")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "port": port}).encode())
    threading.Thread(target=_end_with_the_state, args=(state, os.fstat(descriptor)), daemon=True).start()


def try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _end_with_the_state(state: Path, held: os.stat_result) -> None:
    """Ends this server once its lock file is gone: somebody deleted the state directory.

    No command could find or stop it any more, and what it saves every few seconds would mix with the state of the next
    server in that directory. So it ends without saving; its jobs end with it.
    """
    while True:
        time.sleep(_WATCH_SECONDS)
        try:
            found = (state / "server.lock").stat()
        except (FileNotFoundError, NotADirectoryError):
            break
        except OSError:
            continue
        if (found.st_dev, found.st_ino) != (held.st_dev, held.st_ino):
            break
    os._exit(1)


def choose_port(state: Path, wanted: int | None) -> int:
    file = state / "port"
    kept = int(file.read_text()) if file.exists() else None
    if kept is not None and wanted not in (None, kept):
        raise PortInUse(
            f"this state belongs to port {kept}; its queue URLs hold it, so it cannot move to {wanted}.\n"
            f"hint: leave the port away, or start afresh: rm -r {state}"
        )
    for port in (wanted or kept, _PREFERRED_PORT, 0):
        if port is None:
            continue
        free = _bound(port)
        if free is not None:
            write_whole(file, str(free))
            return free
        if port in (wanted, kept):
            raise PortInUse(
                f"port {port} on 127.0.0.1 is in use by another process.\n"
                f"hint: end that process (`ss -ltnp 'sport = :{port}'` names it), "
                + ("or name another state directory with HEADRACE_STATE" if kept else "or choose another with --port")
            )
    raise AssertionError("port 0 is always free")


def _bound(port: int) -> int | None:
    """The port if it is free (0: any free one), else None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
        number: int = probe.getsockname()[1]
        return number
