"""Install what the lock files beside this script name: `make install` and the other targets call it.

    python3 locks/install.py project [auto|cpu|cuda]   .venv, made with this Python; which build of torch
    python3 locks/install.py node                      node_modules
    python3 locks/install.py tool NAME LOCK [OPTION…]  .venv/NAME from LOCK.lock; the options are pip's
    python3 locks/install.py same PYTHON               whether .venv was made with PYTHON

It says what is fetched and how far that is. What pip and npm say goes to a log; a failure shows the lines that name it,
and a hint. Standard library only: nothing is installed yet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from install_failures import InstallError, explained
from install_progress import Progress

LOCKS = Path(__file__).resolve().parent
ROOT = LOCKS.parent
VENV = ROOT / ".venv"
# Measured on Linux x86-64 with Python 3.11; docs/machines.md has the parts.
PROJECT_GB = 2.2
CUDA_GB = 5.9
NODE_MB = 40
PYTORCH_INDEX = "https://download.pytorch.org/whl/cpu"
LOCKED = ["--require-hashes", "--only-binary", ":all:"]


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["project", *which] if which in ([], ["auto"], ["cpu"], ["cuda"]):
                install_project(which[0] if which else "auto")
            case ["node"]:
                install_node()
            case ["tool", name, lock, *options]:
                install_tool(name, lock, options)
            case ["same", python]:
                refuse_another_python(python)
            case ["project", which]:
                raise InstallError(f"there is no build {which!r} of torch", "TORCH=cpu, TORCH=cuda or TORCH=auto")
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except InstallError as error:
        print(f"error: {error}\n\nhint: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: the installation was interrupted\n\nhint: make install goes on from there", file=sys.stderr)
        return 130
    return 0


def install_project(torch: str) -> None:
    """.venv with the project and its tools. Raises InstallError."""
    cpu = torch == "cpu" or (torch == "auto" and not has_gpu())
    least = PROJECT_GB if cpu or not sys.platform.startswith("linux") else CUDA_GB
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < least:
        raise InstallError(
            f".venv takes {least} GB, and the disk of {ROOT} has {free:.1f} GB free", f"make room: df -h {ROOT}"
        )
    print(f"installing into .venv, with Python {version()} ({sys.executable})", flush=True)
    make_environment()
    pip(VENV, "pip", ["-r", str(LOCKS / "pip.lock")])
    if cpu and sys.platform.startswith("linux"):
        install_cpu_torch(demanded=torch == "cpu")
    pip(VENV, "Python packages", ["-r", str(LOCKS / "project.lock"), "-c", str(LOCKS / "cuda.lock")])
    pip(VENV, "Headrace itself", ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)], locked=False)


def install_cpu_torch(*, demanded: bool) -> None:
    """torch without CUDA, if an index has it: pip's own settings first, then PyTorch's. Else PyPI's has CUDA."""
    wanted = ["--no-deps", "-r", str(LOCKS / "torch-cpu.lock")]
    try:
        pip(VENV, "torch for CPUs", wanted)
    except InstallError:
        try:
            quickly = ["--retries", "1", "--timeout", "15"]
            pip(VENV, f"torch for CPUs, from {PYTORCH_INDEX}", [*wanted, "--extra-index-url", PYTORCH_INDEX, *quickly])
        except InstallError as error:
            if demanded:
                raise
            print(f"  not to be had: {error}", flush=True)
            print("  so torch comes with CUDA, which is 2.4 GB more to fetch and 3.7 GB more on disk", flush=True)
            free = shutil.disk_usage(ROOT).free / 1e9
            if free < CUDA_GB:
                raise InstallError(
                    f".venv takes {CUDA_GB} GB with CUDA, and the disk of {ROOT} has {free:.1f} GB free",
                    "make room, or have pip find torch's build for CPUs: PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS",
                ) from error


def has_gpu() -> bool:
    return os.path.exists("/dev/nvidia0")


def make_environment() -> None:
    """Made again if another Python made the one that is there, or if it is not complete."""
    binary = VENV / "bin" / "python"
    known = subprocess.run([str(binary), "-V"], capture_output=True, text=True).stdout if binary.exists() else ""
    clear = ["--clear"] if known.split() != ["Python", version()] else []
    log = ROOT / ".venv-install.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run([sys.executable, "-m", "venv", *clear, str(VENV)], stdout=file, stderr=file)
    said = log.read_text("utf-8", errors="replace")
    log.unlink()
    if done.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        raise explained("making .venv", said)


def install_tool(name: str, lock: str, options: list[str]) -> None:
    """A separate environment, for a tool whose dependencies are not the project's. Raises InstallError."""
    target = VENV / name
    print(f"installing into .venv/{name}", flush=True)
    done = subprocess.run([str(VENV / "bin/python"), "-m", "venv", "--without-pip", str(target)], capture_output=True)
    if done.returncode != 0:
        raise explained(f"making .venv/{name}", done.stderr.decode(errors="replace"))
    pip(target, f"packages of {name}", [*options, "-r", str(LOCKS / f"{lock}.lock")])


def pip(environment: Path, what: str, arguments: list[str], *, locked: bool = True) -> None:
    """`pip install` into an environment, with progress. Raises InstallError."""
    command = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if environment != VENV:
        command += ["--python", str(environment)]
    command += ["install", *(LOCKED if locked else []), *raw_progress(), *arguments]
    run(command, what, environment / "install.log", {**os.environ, "PYTHONWARNINGS": "ignore"}, environment)


def raw_progress() -> list[str]:
    """Lines `Progress BYTES of BYTES`: pip has them since version 24.1, and the first one here may be older."""
    said = subprocess.run([str(VENV / "bin/python"), "-m", "pip", "--version"], capture_output=True, text=True)
    found = said.stdout.split()[1:2] or ["0"]
    return ["--progress-bar", "raw"] if int(found[0].partition(".")[0]) >= 25 else []


def install_node() -> None:
    """node_modules, with the Node of .venv: one that is installed elsewhere is neither needed nor changed."""
    print(f"installing the CDK's command line into node_modules ({NODE_MB} MB)", flush=True)
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    command = [str(VENV / "bin/npm"), "ci", "--no-fund", "--no-audit", "--no-update-notifier", "--loglevel", "http"]
    run(command, "aws-cdk", VENV / "npm.log", environment, ROOT / "node_modules")


def run(command: list[str], what: str, log: Path, environment: dict[str, str], folder: Path) -> None:
    """One command with its progress; its output goes to `log`. Raises InstallError with what the output says."""
    began = time.monotonic()
    with (
        log.open("w", encoding="utf-8") as file,
        Progress(what) as progress,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if progress.read(line):
                    file.write(line)
        except BaseException:
            process.terminate()
            raise
        status = process.wait()
    if status != 0:
        raise explained(what, log.read_text("utf-8", errors="replace"), log=log)
    progress.end(time.monotonic() - began, on_disk(folder) if progress.packages > 1 else 0)


def on_disk(folder: Path) -> int:
    """Bytes of the files under a folder."""
    return sum(os.lstat(os.path.join(path, name)).st_size for path, _, names in os.walk(folder) for name in names)


def refuse_another_python(python: str) -> None:
    """`make PYTHON=…` has no effect on an environment that is there: say so. Raises InstallError."""
    ask = "import os, sys; print(os.path.realpath(sys._base_executable)); print(sys.version.split()[0])"
    try:
        named, mine = (
            subprocess.run([each, "-c", ask], capture_output=True, text=True, check=True).stdout.split("\n")
            for each in (python, str(VENV / "bin" / "python"))
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InstallError(f"PYTHON={python} cannot be run: {error}", "name a Python, or leave PYTHON away") from error
    if named != mine:
        raise InstallError(
            f".venv was made with Python {mine[1]} ({mine[0]}), and PYTHON={python} is {named[1]} ({named[0]})",
            f"make clean, then make install PYTHON={python}",
        )


def version() -> str:
    return sys.version.split()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
