"""The seam for everything that runs: a container's command becomes a process.

`Launcher` has one method. `ProcessLauncher` starts real processes, each in a new mount namespace where the kernel
allows it; where it does not (macOS, some hardened kernels), ``/opt/ml`` is rewritten in the command and environment
to the job's own directory, which a script with that path hard-coded does not survive.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol

from local_cloud.sagemaker.containers.sandbox import sandbox

_ENTER = Path(__file__).with_name("namespace.py")


@dataclass(frozen=True, slots=True)
class Container:
    """The arguments of a container runtime."""

    name: str
    command: tuple[str, ...]
    root: Path
    """What the command sees as ``/opt/ml``."""
    image: Path
    """The local counterpart of the image: a virtual environment (see `local_cloud.sagemaker.containers.images`)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[Path, ...] = ()
    """Other files and folders that the command needs, which stay visible; read-only, as the image is."""
    isolated: bool = False
    """Without a network but its own loopback; only where the kernel lets an ordinary user give a process its own."""
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    """Addresses by name, which resolve inside beside the machine's own; only in a mount namespace."""


class Process(Protocol):
    """A started container."""

    pid: int

    @property
    def output(self) -> IO[str]:
        """Standard output and error, mixed, line by line."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, 128 + N after signal N as a container has it; raises subprocess.TimeoutExpired."""

    def terminate(self) -> None:
        """SIGTERM to the main process, as ``docker stop`` does first."""

    def kill(self) -> None:
        """SIGKILL to the main process and all it started."""


class Launcher(Protocol):
    """Starts containers.

    process = launcher.launch(Container("job", ("python3", "train.py"), root=folder, image=image))
    for line in process.output:
        …
    code = process.wait()
    """

    def launch(self, container: Container) -> Process: ...


class ProcessLauncher:
    def __init__(self, private: Sequence[Path] = ()) -> None:
        """``private`` folders are hidden from what it launches, as the user's home is."""
        self._private = private
        # The kernel ends a job when the *thread* that started it ends (prctl's PDEATHSIG), so one that lives as long as
        # the local cloud starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="launcher")

    def launch(self, container: Container) -> Process:
        beside = container.root.parent
        for name in ("site", "home", "tmp"):
            (beside / name).mkdir(parents=True, exist_ok=True)
        site = beside / "site"
        environment = {
            "PATH": f"{container.image / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(beside / "home"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            # What a job installs goes into a folder that is deleted with the job, as with a container.
            "PIP_TARGET": str(site),
            "PYTHONPATH": str(site),
            **container.environment,
        }
        command = list(container.command)
        if has_private_mounts():
            if container.extra_hosts:
                _write_names(container)
            isolated = container.isolated and has_private_network()
            inside: dict[str, Any] = {"root": str(container.root), "isolated": isolated}
            if is_confining():
                inside = sandbox(
                    container.root, (container.image, *container.reads), environment,
                    private=self._private, isolated=isolated,
                )  # fmt: skip
            command = [sys.executable, "-I", "-S", str(_ENTER), json.dumps(inside), *command]
        else:
            here = str(container.root)
            command = [word.replace("/opt/ml", here) for word in command]
            environment = {name: value.replace("/opt/ml", here) for name, value in environment.items()}
        started = self._starter.submit(
            subprocess.Popen,
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        return _RunningProcess(started.result())


def _write_names(container: Container) -> None:
    lines = [f"{address} {name}\n" for name, address in container.extra_hosts.items()]
    container.root.with_name("hosts").write_text(Path("/etc/hosts").read_text() + "\n" + "".join(lines))


class _RunningProcess:
    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen
        self.pid = popen.pid

    @property
    def output(self) -> IO[str]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    def wait(self, timeout: float | None = None) -> int:
        status = self._popen.wait(timeout)
        return status if status >= 0 else 128 - status

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(self.pid, signal.SIGKILL)


def has_private_mounts() -> bool:
    """Whether this kernel lets an ordinary user give a process a private ``/opt/ml``."""
    return _enters()


def has_private_network() -> bool:
    """Whether it also lets an ordinary user take the network away from a process."""
    return _enters(isolated=True)


def is_confining() -> bool:
    """Whether it lets him hide folders and processes from a job, and make the rest read-only."""
    return _enters(confined=True)


@cache
def _enters(*, isolated: bool = False, confined: bool = False) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "ml")
        root.mkdir()
        inside: dict[str, Any] = {"root": str(root), "isolated": isolated}
        if confined:
            inside = sandbox(root, (Path(sys.prefix),), {}, private=(), isolated=isolated)
            for folder in inside["write"]:
                Path(folder).mkdir()
        command = [sys.executable, "-I", "-S", str(_ENTER), json.dumps(inside), "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
