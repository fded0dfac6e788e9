"""`make install` says how far it is, what failed and what to try; `make clean` leaves what is in Git and no more."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input_disk import run_on_small_disk

from locks import install
from locks.install import InstallError
from locks.install_failures import CAUSES
from locks.install_progress import Progress, megabytes

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[1]


def make_wheel(folder: Path, name: str, *, size: int = 0) -> str:
    """A wheel of one module; returns its line of a lock file."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{name}.py", b"#" * size)
        file.writestr(f"{metadata}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{metadata}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{metadata}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on this machine: its folders are the packages."""
    folder = tmp_path / "index"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty environment that the project's own pip installs into, and none of this machine's settings of pip."""
    for name in [name for name in os.environ if name.upper().startswith(("PIP_", "NPM_")) or "proxy" in name.lower()]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_RETRIES", "1")  # pip names the cause only when it tries again
    monkeypatch.setattr(install, "VENV", Path(sys.prefix))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "made")], check=True)
    return tmp_path / "made"


def test_packages_bytes_and_seconds_are_said(
    environment: Path, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("".join(make_wheel(tmp_path / "index" / name, name, size=2_000_000) for name in ("one", "two")))
    monkeypatch.setenv("PIP_INDEX_URL", index)
    install.pip(environment, "packages", ["-r", str(lock)])
    assert re.search(r"^  packages: 2 packages, 4 MB fetched, 4 MB on disk, \d+ s$", capsys.readouterr().out, re.M)
    assert "Progress" not in (environment / "install.log").read_text()
    assert list(environment.rglob("one.py"))


def failure(environment: Path, lock: Path, line: str) -> InstallError:
    lock.write_text(line)
    with pytest.raises(InstallError) as caught:
        install.pip(environment, "packages", ["-r", str(lock)])
    assert "packages: the installation failed:" in str(caught.value)
    assert str(environment / "install.log") in caught.value.hint
    return caught.value


def test_a_package_that_the_index_lacks_is_named(
    environment: Path, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index)
    error = failure(environment, tmp_path / "lock.txt", f"one==1.0 --hash=sha256:{'0' * 64}\n")
    assert "No matching distribution found for one==1.0" in str(error)
    assert "no wheel of that version for this Python" in error.hint


def test_other_bytes_than_the_lock_names_are_refused(
    environment: Path, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "index" / "one", "one")
    monkeypatch.setenv("PIP_INDEX_URL", index)
    error = failure(environment, tmp_path / "lock.txt", f"one==1.0 --hash=sha256:{'0' * 64}\n")
    assert "other files than locks/ names" in error.hint


def test_an_index_out_of_reach_names_proxy_and_mirror(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:  # bound, and nobody listens
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/simple")
        error = failure(environment, tmp_path / "lock.txt", f"one==1.0 --hash=sha256:{'0' * 64}\n")
    assert "HTTPS_PROXY" in error.hint
    assert "PIP_INDEX_URL" in error.hint


def test_a_proxy_that_refuses_is_named(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            self.send_error(407)

        def log_message(self, *arguments: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("PIP_PROXY", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid/simple")
        error = failure(environment, tmp_path / "lock.txt", f"one==1.0 --hash=sha256:{'0' * 64}\n")
        server.shutdown()
    assert "407 Proxy Authentication Required" in str(error)
    assert "the proxy refused or did not answer" in error.hint


def test_a_full_disk_is_named(environment: Path, tmp_path: Path) -> None:
    wheels, lock, disk = tmp_path / "wheels", tmp_path / "lock.txt", tmp_path / "disk"
    lock.write_text(make_wheel(wheels, "one", size=3_000_000))
    code = (
        "import sys; from pathlib import Path; from locks import install; install.VENV = Path(sys.prefix); "
        "environment, wheels, target, lock = sys.argv[1:]; install.pip(Path(environment), 'packages', "
        "['--no-index', '--find-links', wheels, '--target', target, '-r', lock])"
    )
    script = f'cd "$1" && shift && exec "{sys.executable}" -c "{code}" "$@"'
    said = run_on_small_disk(disk, "1m", script, ROOT, environment, wheels, disk / "at", lock, TMPDIR=str(tmp_path))
    assert "InstallError: packages: the installation failed" in said
    assert "No space left on device" in said


def test_npm_says_what_it_could_not_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Path) -> None:
    """npm was silent: behind a proxy, `make install` printed only `Error 1`."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # npm's cache, which may have the package
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    log = Path(sys.prefix) / "npm.log"
    kept = log.read_bytes() if log.exists() else b""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("npm_config_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.setenv("npm_config_https_proxy", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(InstallError, match=r"aws-cdk: the installation failed:\n.*ECONNREFUSED") as caught:
            install.install_node()
    log.write_bytes(kept)
    assert "HTTPS_PROXY" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("The virtual environment was not created successfully because ensurepip is not\navailable.", "python3-venv"),
        ("ERROR: [Errno 28] No space left on device", "make room"),
        ("npm error code ENOSPC", "make room"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "NODE_EXTRA_CA_CERTS"),
        ("ERROR: 403 Client Error: 403 Forbidden for url", "credentials"),
        ("npm error code EINTEGRITY", "other files"),
    ],
)
def test_what_a_program_says_leads_to_a_hint(said: str, hint: str) -> None:
    assert hint in next(text for pattern, text in CAUSES if re.search(pattern, said))


def test_progress_is_said_while_a_program_is_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locks.install_progress.EVERY", 0.01)
    said = threading.Event()
    with Progress("Python packages") as progress:
        for line in ("Collecting one", "Collecting two", "  Downloading two-1.0-py3-none-any.whl (2 MB)"):
            assert progress.read(line + "\n")
        assert not progress.read("Progress 1000000 of 2000000\n")
        said.wait(0.2)
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"  Python packages: 2 packages, 1 MB fetched, fetching two, 0 s", line) for line in lines)
    assert megabytes(2.14e9) == "2.1 GB"


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile with what it calls, in a folder whose name has spaces and letters beyond ASCII."""
    folder = tmp_path / "mes modèles"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "package.json", "package-lock.json"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "locks", folder / "locks", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_a_python_that_is_not_there_is_named(project: Path) -> None:
    done = make(project, "install", "PYTHON=python9.9")
    assert "error: there is no python9.9\n\nhint: make install PYTHON=" in done.stderr
    assert not (project / ".venv").exists()


def test_a_python_that_is_too_old_is_named(project: Path) -> None:
    old = project / "old python"
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c 'import sys; sys.exit(1)'\n")
    old.chmod(0o755)
    done = make(project, "install", f"PYTHON={old}")
    assert f"error: {old} is older than 3.11\n\nhint: make install PYTHON=" in done.stderr


def test_another_python_than_that_of_the_environment_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho /usr/bin/python9\necho 9.9.9\n")
    other.chmod(0o755)
    monkeypatch.setattr(install, "VENV", Path(sys.prefix))
    install.refuse_another_python(sys.executable)
    with pytest.raises(InstallError, match=r"\.venv was made with Python .* is 9\.9\.9") as caught:
        install.refuse_another_python(str(other))
    assert caught.value.hint == f"make clean, then make install PYTHON={other}"


@pytest.mark.parametrize("target", ["demo", "down"])
def test_what_suggests_commands_sees_the_path_of_the_callers_shell(project: Path, target: str) -> None:
    """Other targets put .venv/bin first in PATH: a suggested `headrace models` would fail in the caller's shell."""
    for name in ("python", "headrace"):
        program = project / ".venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text('#!/bin/sh\necho "PATH is $PATH"\n')
        program.chmod(0o755)
    (project / "node_modules").mkdir()
    for name in (".venv/installed", "node_modules/installed"):
        (project / name).touch()
    assert f"PATH is {os.environ['PATH']}\n" in make(project, target).stdout


def test_clean_leaves_what_was_there_before(project: Path) -> None:
    before = sorted(project.rglob("*"))
    for name in (
        ".venv/lib/x.py", ".headrace/server.log", "node_modules/a/b.js", "cdk.out/a.json", "build/lib/a.py",
        "headrace.egg-info/PKG-INFO", ".pytest_cache/a", ".mypy_cache/a", ".ruff_cache/a", ".hypothesis/a",
        ".import_linter_cache/a", "locks/__pycache__/a.pyc",
    ):  # fmt: skip
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).touch()
    done = make(project, "clean")
    assert done.returncode == 0, done.stderr
    assert sorted(project.rglob("*")) == before


def test_clean_removes_each_thing_that_git_ignores() -> None:
    """`.gitignore` is where what a program leaves behind is written down."""
    recipe = (ROOT / "Makefile").read_text().partition("\nclean:")[2]
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split() if not line.startswith("#")]
    assert [name for name in ignored if name not in recipe and name != "*.pyc"] == []
