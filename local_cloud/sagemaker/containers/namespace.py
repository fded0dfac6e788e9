"""Starts a job's command in a sandbox: ``python namespace.py SANDBOX COMMAND…``, with `sandbox.sandbox`'s JSON.

Runs between the launcher and the job, with the standard library alone. The job gets a mount namespace in which ``root``
lies at ``/opt/ml`` and the rest of ``/opt`` is as before; nothing is created on the host. With ``hide``, the folders
named there are empty but for what ``keep`` names, everything is read-only but what ``write`` names, and the job has a
PID namespace: it sees no other process in ``/proc``, and gets no privilege by starting a program. An isolated job has a
network namespace in which there is nothing but a loopback. It dies with the process that started it.

A sandbox with a PID namespace has two more processes: this one, which passes signals in and the exit status out, and
the first process inside, which passes the signals on and takes care of orphans.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 0x1
_libc = ctypes.CDLL(None, use_errno=True)
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x1 | 0x40
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(text: str, *command: str) -> None:
    sandbox = json.loads(text)
    confined = sandbox.get("hide") is not None
    _die_with_parent()
    _separate(isolated=sandbox.get("isolated", False), confined=confined)
    _mount_all(sandbox)
    os.chdir("/")
    if not confined:
        os.execvp(command[0], command)
    reader, writer = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)  # until somebody passes them on
    first = os.fork()
    if first == 0:
        os.close(reader)
        _be_first_process(writer, command)
    os.close(writer)
    _pass_on_to(first)
    os.waitpid(first, 0)
    _end_as(struct.unpack("i", os.read(reader, 4) or struct.pack("i", signal.SIGKILL))[0])


def _die_with_parent() -> None:
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the request took effect
        sys.exit(1)


def _separate(*, isolated: bool, confined: bool) -> None:
    user, group = os.getuid(), os.getgid()
    spaces = _CLONE_NEWUSER | _CLONE_NEWNS | (_CLONE_NEWNET if isolated else 0) | (_CLONE_NEWPID if confined else 0)
    _check(_libc.unshare(spaces), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    if isolated:
        with socket.socket() as loopback:  # it is down in a new namespace; processes of the job meet there
            fcntl.ioctl(loopback, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _UP_AND_RUNNING))
    _mount(None, "/", _MS_REC | _MS_PRIVATE)


def _mount_all(sandbox: dict[str, Any]) -> None:
    root = Path(str(sandbox["root"]))
    names = root.with_name("hosts")
    if names.exists():
        _mount(str(names), "/etc/hosts", _MS_BIND)
    stage = root.parent / "stage"
    stage.mkdir(exist_ok=True)
    _mount("stage", str(stage), 0, "tmpfs")
    _stage_opt(root, stage / "opt")
    kept = _strings(sandbox, "keep") + _strings(sandbox, "write")
    for number, path in enumerate(kept):
        _bind(path, stage / str(number))
    # What is hidden may hold the stage itself, so that its path leads there no more.
    descriptor = os.open(stage, os.O_RDONLY | os.O_DIRECTORY)
    inside = Path(f"/proc/self/fd/{descriptor}")
    _mount(str(inside / "opt"), "/opt", _MS_BIND | _MS_REC)
    hidden = _strings(sandbox, "hide")
    for folder in hidden:
        _mount("hidden", folder, _MS_NOSUID | _MS_NODEV, "tmpfs")
    for number, path in enumerate(kept):
        if path in _strings(sandbox, "write") or any(Path(path).is_relative_to(folder) for folder in hidden):
            _bind(str(inside / str(number)), Path(path))
    if sandbox.get("hide") is None:
        return
    for path in _strings(sandbox, "memory"):
        _mount("memory", path, _MS_NOSUID | _MS_NODEV, "tmpfs")
    over: dict[str, str] = sandbox.get("over", {})
    for target, source in over.items():
        _mount(str(inside / str(kept.index(source))), target, _MS_BIND | _MS_REC)
        for other, path in enumerate(kept):
            if Path(path).is_relative_to(target):
                _bind(str(inside / str(other)), Path(path))
    os.close(descriptor)
    _set_read_only("/", True, recursive=True)
    writable = [path for path in _strings(sandbox, "write") if Path(path).exists()]
    for path in ["/opt/ml", *writable, *_strings(sandbox, "memory"), *over]:
        _set_read_only(path, False)


def _stage_opt(root: Path, target: Path) -> None:
    target.mkdir()
    for entry in os.scandir("/opt"):
        if entry.name == "ml":
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry.path))
        else:
            _bind(entry.path, target / entry.name)
    (target / "ml").mkdir()
    _mount(str(root), str(target / "ml"), _MS_BIND | _MS_REC)


def _bind(source: str, target: Path) -> None:
    """Creates the target; skips a source that does not exist."""
    if not os.path.exists(source):
        return
    if os.path.isdir(source):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=True)
    _mount(source, str(target), _MS_BIND | _MS_REC)


def _be_first_process(writer: int, command: tuple[str, ...]) -> None:
    """PID 1 of the sandbox. When it ends, the kernel ends whatever is left in the sandbox."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    watched = select.poll()
    watched.register(writer, select.POLLERR)
    if watched.poll(0):  # the reader ended before the request took effect
        os._exit(1)
    _mount("proc", "/proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, "proc")
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    job = os.fork()
    if job == 0:
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        for capability in range(64):  # as root, the job could undo all this
            _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    _pass_on_to(job)
    while True:
        ended, status = os.wait()
        if ended == job:
            os.write(writer, struct.pack("i", status))
            os._exit(0)


def _pass_on_to(process: int) -> None:
    def send(number: int, frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    for number in _PASSED_ON:
        signal.signal(number, send)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)


def _end_as(status: int) -> None:
    """Ends as the job did, by the same signal too."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pause()
    os._exit(os.WEXITSTATUS(status))


def _strings(sandbox: dict[str, Any], name: str) -> list[str]:
    return sandbox.get(name) or []


def _set_read_only(path: str, value: bool, *, recursive: bool = False) -> None:
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY * value, _MOUNT_ATTR_RDONLY * (not value), 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    result = _libc.syscall(_SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, len(attributes))
    _check(result, f"mount_setattr {path}")


def _mount(source: str | None, target: str, flags: int, kind: str | None = None) -> None:
    encoded = source.encode() if source is not None else None
    result = _libc.mount(encoded, target.encode(), kind.encode() if kind else None, flags, None)
    _check(result, f"mount {source} on {target}")


def _check(result: int, action: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{action}: {os.strerror(code)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
