"""A disk that is full for real: a tmpfs of a few KiB, in a user and mount namespace that ends with the command."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def run_on_small_disk(disk: Path, size: str, script: str, *words: object, **environment: str) -> str:
    """Runs a line of shell with a tmpfs of `size` at `disk`, the words as $1, $2, …; its standard output."""
    disk.mkdir(exist_ok=True)
    mount = f"mount -t tmpfs -o size={size} tmpfs '{disk}'"
    if shutil.which("unshare") is None or _unshared(f"{mount}").returncode != 0:
        pytest.skip("needs a kernel that lets an ordinary user mount a tmpfs in a private namespace")
    return _unshared(f"{mount} && {script}", *words, **environment).stdout


def _unshared(script: str, *words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    small = {"PYTHONDONTWRITEBYTECODE": "1"}  # compiled modules would fill the disk before the job does
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *map(str, words)],
        env=os.environ | small | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        check=False,
    )  # fmt: skip
