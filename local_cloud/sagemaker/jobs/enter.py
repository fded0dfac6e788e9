"""Starts a job's command with a private ``/opt/ml``: ``python enter.py [--isolated] ROOT COMMAND…``.

Runs between the launcher and the job, with the standard library alone, and becomes the job (exec), so that a signal
to this process reaches the job. The job gets a mount namespace of its own in which ROOT lies at ``/opt/ml``, the rest
of ``/opt`` is as before, and the file ``hosts`` beside ROOT, if there is one, at ``/etc/hosts``; nothing is created on
the host. An isolated one has a network namespace of its own as well, in which there is nothing but a loopback. It dies
with the process that started it.
Costs about 18 ms (median of 30 on a small machine), most of it the interpreter's start and ctypes.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x1 | 0x40


def main(*arguments: str) -> None:
    isolated = arguments[0] == "--isolated"
    root, *command = arguments[isolated:]
    _die_with_parent()
    _make_private(Path(root), isolated=isolated)
    os.chdir("/")
    os.execvp(command[0], command)


def _die_with_parent() -> None:
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the request took effect
        sys.exit(1)


def _make_private(root: Path, *, isolated: bool) -> None:
    user, group = os.getuid(), os.getgid()
    spaces = _CLONE_NEWUSER | _CLONE_NEWNS | (_CLONE_NEWNET if isolated else 0)
    _check(_libc.unshare(spaces), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if isolated:
        with socket.socket() as loopback:  # it is down in a new namespace; processes of the job meet there
            fcntl.ioctl(loopback, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _UP_AND_RUNNING))
    _mount(None, "/", _MS_REC | _MS_PRIVATE)
    stage = root.parent / "opt"
    stage.mkdir(exist_ok=True)
    for entry in os.scandir("/opt"):
        target = stage / entry.name
        if entry.name == "ml":
            continue
        if entry.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(os.readlink(entry.path))
            continue
        target.mkdir(exist_ok=True) if entry.is_dir() else target.touch()
        _mount(entry.path, str(target), _MS_BIND | _MS_REC)
    (stage / "ml").mkdir(exist_ok=True)
    _mount(str(root), str(stage / "ml"), _MS_BIND | _MS_REC)
    _mount(str(stage), "/opt", _MS_BIND | _MS_REC)
    names = root.with_name("hosts")
    if names.exists():
        _mount(str(names), "/etc/hosts", _MS_BIND)


def _mount(source: str | None, target: str, flags: int) -> None:
    encoded = source.encode() if source is not None else None
    _check(_libc.mount(encoded, target.encode(), None, flags, None), f"mount {source} on {target}")


def _check(result: int, action: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{action}: {os.strerror(code)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
