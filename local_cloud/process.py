"""Starts, finds and stops the server process of a state directory.

    running = start(Path(".headrace"))
    …
    stop(Path(".headrace"))

The server holds a lock on ``server.lock`` for as long as it lives, so whether it runs is never a guess about a process
number. Its port is kept with the state, because queue URLs hold it.
"""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import root_key
from local_cloud.errors import LocalCloudError, StartFailed
from local_cloud.state_directory import choose_port, claim, make_room, try_lock, usable

ACCOUNT = "000000000000"
REGION = "us-east-1"
AWKWARD = "HEADRACE_AWKWARD"  # "1": what AWS may do, as docs/awkward.md has it

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_MIN_FREE = 2**20  # bytes; an empty local cloud takes some 200 KB
_LOST_THE_PORT = os.strerror(errno.EADDRINUSE)  # in the end of its log
# The variables with which pip finds packages: an index, a proxy, certificates.
PIP_SETTINGS = tuple(
    f"PIP_{name}" for name in ("CERT", "CLIENT_CERT", "CONFIG_FILE", "CONSTRAINT", "DEFAULT_TIMEOUT", "EXTRA_INDEX_URL",
                               "FIND_LINKS", "INDEX_URL", "NO_INDEX", "PROXY", "TRUSTED_HOST")
)  # fmt: skip
# Only these of the caller's variables reach the server: no AWS configuration, no certificates, no Python paths. Pip's
# settings are for the environments that stand for images; no job sees them.
_PASSED_ON = ("PATH", "LANG", "LOG_LEVEL", AWKWARD, *PIP_SETTINGS)


@dataclass(frozen=True, slots=True)
class Running:
    """A local cloud that answers."""

    pid: int
    endpoint: str
    certificate: Path
    region: str
    account: str
    state: Path

    def secret_key(self, account: str) -> str:
        return root_key.secret_key(self.state, account)


def start(state: Path, *, port: int | None = None, images: Mapping[str, Mapping[str, Any]] | None = None) -> Running:
    """Starts the local cloud of ``state``, or returns the one that runs already.

    ``images`` are the user's own counterparts of images, by pattern (`local_cloud.sagemaker.core.configured_images`);
    they also hold for one that runs already. Without them, those hold that did before.

    Raises PortInUse, ForeignState, StartFailed, or LocalCloudError when the directory cannot be written.
    """
    state = state.resolve()
    found = running(state)
    if found is not None:
        with usable(state):
            write_images(state / "sagemaker", images)
        return found
    if os.environ.get(AWKWARD, "0") not in ("0", "1"):
        raise LocalCloudError(
            f"{AWKWARD} is {os.environ[AWKWARD]!r}, and can be 0 or 1.\n"
            "hint: set it to 1, or leave it out (docs/awkward.md)"
        )
    ready = state / "ready"
    with usable(state):
        claim(state)
        write_images(state / "sagemaker", images)
        root_key.make(state)
        may_move = port is None and not (state / "port").exists()
        port = choose_port(state, port)
        _make_certificate(state / "tls")
        shutil.rmtree(state / "tmp", ignore_errors=True)
        (state / "tmp").mkdir()
        ready.unlink(missing_ok=True)
        log = (state / "server.log").open("ab")
    with log:
        begin = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "local_cloud.server", str(state), str(port)],
            cwd=Path(__file__).parents[1],
            env=_bare_environment(state),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # Waits for the server's end, however long that takes, so that it leaves no zombie behind in a long-lived caller.
    threading.Thread(target=process.wait, daemon=True).start()
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if ready.exists() and ready.read_text() == str(process.pid):
            answer = running(state)
            assert answer is not None
            return answer
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    found = running(state)
    if found is not None:  # a second `start` at the same moment was first
        return found
    if may_move and _LOST_THE_PORT in _tail(state / "server.log", begin):  # to another one that started just then
        (state / "port").unlink()
        return start(state, images=images)
    with usable(state):
        free = shutil.disk_usage(state).free
    if free < _MIN_FREE:
        raise StartFailed(
            f"the local cloud did not start: the disk of {state} is full ({free:,} bytes are free).\n"
            f"hint: {make_room(state)}"
        )
    raise StartFailed(
        f"the local cloud did not start; the end of {state / 'server.log'}:\n{_tail(state / 'server.log', begin)}\n"
        "hint: the log has the whole story; with nothing of worth in it, delete the state directory and start again"
    )


def running(state: Path) -> Running | None:
    """The local cloud of ``state`` that runs now, or None. Raises LocalCloudError for a directory out of reach."""
    state = state.resolve()
    with usable(state):
        try:
            file = (state / "server.lock").open("r+")
        except FileNotFoundError:
            return None
    with file:
        if try_lock(file.fileno()):
            return None  # no process held it
        content = file.read()
    if not content:
        return None  # it is only just starting
    known = json.loads(content)
    return Running(
        pid=known["pid"],
        endpoint=f"https://localhost:{known['port']}",
        certificate=state / "tls" / "localhost.crt",
        region=REGION,
        account=ACCOUNT,
        state=state,
    )


def secret_key(state: Path, account: str) -> str:
    """The secret key of the account's root; the access key ID is the account number. Raises LocalCloudError."""
    return root_key.secret_key(state.resolve(), account)


def stop(state: Path) -> bool:
    """Stops the local cloud of ``state``; False when none ran. Its jobs and endpoints end with it."""
    found = running(state)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < deadline:
        if running(state) is None:
            return True
        time.sleep(0.05)
    os.kill(found.pid, signal.SIGKILL)
    raise LocalCloudError(
        f"the local cloud (process {found.pid}) did not end within {_STOP_SECONDS:.0f} s and was killed.\n"
        f"hint: {found.state / 'server.log'} may say why; what it had not saved in its last seconds is lost"
    )


def interrupt(state: Path, job: str, number: signal.Signals = signal.SIGTERM) -> None:
    """Takes the spot capacity of a running training job away, once.

    With SIGTERM the job has its grace period; with SIGKILL it is gone at once, as when an instance fails.
    """
    folder = state.resolve() / "sagemaker" / "interruptions"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{job}"
    draft.write_text(number.name)
    draft.rename(folder / job)


def _make_certificate(directory: Path) -> None:
    from local_cloud.certificate import certificate  # cryptography, which only `start` needs

    try:
        certificate(directory)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)  # as with `state_directory.write_whole`
        raise


def write_images(folder: Path, images: Mapping[str, Mapping[str, Any]] | None) -> None:
    """Texts and lists of texts are the same in TOML as in JSON."""
    if images is None:
        return
    lines = [
        f"{json.dumps(pattern)} = {{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in image.items())} }}\n"
        for pattern, image in images.items()
    ]
    file, text = folder / "images.toml", "".join(lines)
    if (file.read_text() if file.exists() else "") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".images.toml"
    draft.write_text(text)
    draft.rename(file)


def _bare_environment(state: Path) -> dict[str, str]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return environment | {
        "HOME": str(state),
        "TMPDIR": str(state / "tmp"),
        "MINISTACK_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace")[-2000:].strip() or "(it wrote nothing)"
