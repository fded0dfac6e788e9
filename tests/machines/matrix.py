"""Run the demo on each kind of machine and in each kind of place that can be had here, and write docs/machines.md.

    make matrix                                          # every row; about 5 minutes for each Python
    make matrix ROWS=--suite                             # `make test` too; 20 minutes more for each Python
    python tests/machines/matrix.py --rows "no network"  # only the rows whose names hold these words
    python tests/machines/matrix.py --python /usr/bin/python3 --python python3.14

Each Python gets a separate clone (of what is committed) and is installed from scratch. The places share the first
clone, each with its own state folder, so that no two rows interfere. A row that this machine cannot run says why.
Rows that were not run keep what the document says of them. The exit status is 1 if a row went otherwise than expected.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "machines.md"
BEGIN = "<!-- begin of the table that tests/machines/matrix.py writes -->"
END = "<!-- end of the table -->"
HEADER = "| machine or place | command | outcome | seconds | sizes |\n| --- | --- | --- | --- | --- |\n"
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
NOBODY = 65534
LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh22x', b'lo', 0x41))"


class NotAvailable(Exception):
    """This machine cannot offer the row."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    command: str
    outcome: str
    expected: bool
    seconds: float | None = None
    sizes: str = ""

    def __str__(self) -> str:
        seconds = "" if self.seconds is None else f"{self.seconds:.0f}"
        command = f"`{self.command}`" if self.command else ""
        return f"| {self.name} | {command} | {self.outcome} | {seconds} | {self.sizes} |\n"


@dataclass(slots=True)
class Machine:
    """Where the rows run: `work` holds the clones, and `clone` is the installed one that the places share."""

    work: Path
    clone: Path | None = None
    rows: list[Row] = field(default_factory=list)

    def run(self, command: str, folder: Path, *prefix: str, **environment: str | None) -> tuple[int, str, float]:
        """Exit status, output and seconds of a line of shell. A variable that is None is unset."""
        variables = {**os.environ, **environment}
        began = time.monotonic()
        done = subprocess.run(
            [*prefix, "sh", "-c", command],
            cwd=folder,
            env={name: value for name, value in variables.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout, time.monotonic() - began

    def place(
        self,
        name: str,
        shown: str,
        *prefix: str,
        fails: bool = False,
        script: str = "make demo",
        **environment: str | None,
    ) -> Row:
        """The demo (or `script`) in the shared clone, with a separate state folder, which is removed at the end."""
        if self.clone is None:
            raise NotAvailable("no Python here could be installed with")
        state = Path(tempfile.mkdtemp(prefix="state-", dir=self.work))
        state.rmdir()
        environment = {"HEADRACE_STATE": str(state), **environment}
        try:
            status, said, seconds = self.run(script, self.clone, *prefix, **environment)
            sizes = f".headrace {size(state)}" if state.exists() else ""
            return Row(name, shown, *judged(status, said, fails=fails), seconds, sizes)
        finally:
            self.run(".venv/bin/headrace down", self.clone, **environment)
            shutil.rmtree(state, ignore_errors=True)


def judged(status: int, said: str, *, fails: bool = False) -> tuple[str, bool]:
    """What happened, and whether it is good: it ended well, or, where that cannot be, with an error and a hint."""
    if status == 0:
        right = re.search(r"(\d+ of \d+) .*predicted right", said)
        return (f"ends well; {right[1]} predicted right" if right else "ends well"), not fails
    error = re.search(r"^error: (.*)$", said, re.MULTILINE)
    hint = re.search(r"^hint: (.*)$", said, re.MULTILINE)
    if error and hint:
        return f"error: {escaped(error[1])}; hint: {escaped(hint[1])}", fails
    return f"fails with status {status}: {escaped(said.strip().splitlines()[-1] if said.strip() else '')}", False


def tested(status: int, said: str) -> tuple[str, bool]:
    """pytest's own count of what passed, failed and was skipped."""
    counted = re.findall(r"(?:^|=) ?(\d+ (?:passed|failed|skipped|error)[^=\n]*?) in [\d.]+s", said, re.MULTILINE)
    return counted[-1] if counted else judged(status, said)[0], status == 0


def escaped(text: str) -> str:
    plain = re.sub(r"/\S*?/state-\w+", "<state>", text)
    return plain.replace("|", "\\|")[:300]


def size(folder: Path) -> str:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return f"{total / 1e9:.1f} GB" if total >= 1e9 else f"{total / 1e6:.0f} MB"


def install(
    machine: Machine, clone: Path, python: str, *prefix: str, **environment: str | None
) -> tuple[str, bool, float]:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    if prefix:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(clone)], check=True)
    status, said, seconds = machine.run(f"make install PYTHON='{python}'", clone, *prefix, **environment)
    outcome, expected = judged(status, said)
    return outcome, expected, seconds


def python_rows(machine: Machine, python: str, version: str, suite: bool) -> Iterable[Row]:
    """The installation, the demo, the checks of a team's project and `make clean` with one Python."""
    clone = machine.work / f"python-{version}"
    name = f"Python {version}"
    outcome, expected, seconds = install(machine, clone, python)
    sizes = f".venv {size(clone / '.venv')}, node_modules {size(clone / 'node_modules')}"
    yield Row(name, "make install", outcome, expected, seconds, sizes)
    if not expected:
        return
    home = machine.work / f"home-{version}"
    home.mkdir()
    status, said, seconds = machine.run("make demo", clone, HOME=str(home), HEADRACE_STATE=None)
    yield Row(name, "make demo", *judged(status, said), seconds, f".headrace {size(clone / '.headrace')}")
    machine.run("make down", clone, HEADRACE_STATE=None)
    for command in ("make check", "make test") if suite else ("make check",):
        status, said, seconds = machine.run(command, clone, HOME=str(home), HEADRACE_STATE=None)
        if status:
            (machine.work.parent / f"{clone.name}-{command[5:]}.log").write_text(said, "utf-8")
        yield Row(name, command, *tested(status, said), seconds)
    if machine.clone is None:
        machine.clone = clone  # for the places; it goes with the work folder
    else:
        status, said, seconds = machine.run("make clean", clone, HEADRACE_STATE=None)
        left = subprocess.run(
            ["git", "status", "--short", "--ignored"], cwd=clone, capture_output=True, text=True
        ).stdout
        home_left = [str(path.relative_to(home)) for path in home.iterdir()]
        outcome = "nothing is left" if not left else f"left: {escaped(' '.join(left.split()))}"
        yield Row(
            name, "make clean", outcome + (f"; in HOME: {', '.join(home_left)}" if home_left else ""), not left, seconds
        )
        shutil.rmtree(clone)


def plain_user(machine: Machine) -> Row:
    """Installed and run by a user who is not root, in a folder whose path has spaces and letters beyond ASCII."""
    needs_root("a process of another user")
    folder = Path(tempfile.mkdtemp(prefix="headrace-", dir="/var/tmp")) / "mes modèles à moi"
    folder.mkdir()
    folder.parent.chmod(0o755)
    home = folder / "home"
    home.mkdir()
    shutil.chown(home, NOBODY, NOBODY)
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    clone = folder / "headrace"
    try:
        common = {"HOME": str(home), "HEADRACE_STATE": None, "TMPDIR": None}
        outcome, expected, _ = install(machine, clone, public_python(), *prefix, **common)
        if not expected:
            return Row(plain_user_name, "make install", outcome, False)
        status, said, seconds = machine.run("make demo", clone, *prefix, **common)
        sizes = f".headrace {size(clone / '.headrace')}"
        machine.run("make down", clone, *prefix, **common)
        return Row(plain_user_name, "make demo", *judged(status, said), seconds, sizes)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


plain_user_name = "not root, in `mes modèles à moi/`"


def public_python() -> str:
    """A Python that another user may run: pyenv's are in the home folder of their owner."""
    for path in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.path.exists(path):
            return path
    raise NotAvailable("no Python outside of a home")


def no_namespaces(machine: Machine) -> Row:
    """As on macOS and on hardened kernels: jobs are plain processes, and `/opt/ml` is rewritten."""
    script = "echo 0 > /proc/sys/user/max_user_namespaces && exec make demo"
    return machine.place("no user namespaces", "make demo", *unshared(), script=script)


def no_home(machine: Machine) -> Row:
    return machine.place("HOME is not set", "env -u HOME make demo", HOME=None)


def no_network(machine: Machine) -> Row:
    script = f'.venv/bin/python -c "{LOOPBACK_UP}" && exec make demo'
    return machine.place(
        "no network after the installation", "unshare --net make demo", *unshared("--net"), script=script
    )


def busy_preferred_port(machine: Machine) -> Row:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else has it, which is what is wanted
            taken.bind(("127.0.0.1", 4566))
        taken.listen()
        return machine.place("port 4566 is in use", "make demo")


def busy_chosen_port(machine: Machine) -> Row:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        script = f".venv/bin/headrace up --port {port}"
        return machine.place("the chosen port is in use", "headrace up --port PORT", script=script, fails=True)


def small_disk(megabytes: int) -> Callable[[Machine], Row]:
    def run(machine: Machine) -> Row:
        disk = Path(tempfile.mkdtemp(prefix="state-", dir=machine.work))
        script = f"mount -t tmpfs -o size={megabytes}m tmpfs '{disk}' && make demo; status=$?; make down; exit $status"
        name = f"the disk of .headrace has {megabytes} MB"
        return machine.place(
            name, "make demo", *unshared("--mount"), script=script, fails=True, HEADRACE_STATE=str(disk)
        )

    return run


def side_by_side(machine: Machine) -> Row:
    """Two state folders at once; the clones differ in nothing else."""
    assert machine.clone is not None
    other = Path(tempfile.mkdtemp(prefix="state-", dir=machine.work)) / "second"
    script = f"HEADRACE_STATE='{other}' make demo > '{other}.log' 2>&1 & make demo; first=$?; wait $!; second=$?; "
    script += f"HEADRACE_STATE='{other}' make down; cat '{other}.log'; [ $first = 0 ] && exit $second; exit $first"
    return machine.place("two local clouds at once", "make demo, twice", script=script)


def macos(machine: Machine) -> Row:
    raise NotAvailable("no Mac here; what the code suggests is below")


PLACES: dict[str, Callable[[Machine], Row]] = {
    plain_user_name: plain_user,
    "no user namespaces": no_namespaces,
    "HOME is not set": no_home,
    "no network after the installation": no_network,
    "port 4566 is in use": busy_preferred_port,
    "the chosen port is in use": busy_chosen_port,
    "the disk of .headrace has 1 MB": small_disk(1),
    "the disk of .headrace has 30 MB": small_disk(30),
    "two local clouds at once": side_by_side,
    "macOS": macos,
}


def needs_root(what: str) -> None:
    if os.geteuid() != 0:
        raise NotAvailable(f"{what} needs root")


def unshared(*options: str) -> tuple[str, ...]:
    prefix = ("unshare", "--user", "--map-root-user", *options)
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], capture_output=True).returncode != 0:
        raise NotAvailable("this kernel gives an ordinary user no namespaces")
    return prefix


def version_of(python: str) -> str | None:
    """None where there is no such Python."""
    ask = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def pythons(named: list[str]) -> dict[str, str | None]:
    """Python by version, or the name of one that is not there, with None."""
    found: dict[str, str | None] = {}
    for python in named or ["python3", *PYTHONS]:
        version = version_of(python)
        if version is not None:
            found.setdefault(version, python)
        elif python != "python3" and not any(known.startswith(f"{python[6:]}.") for known in found):
            found[python.removeprefix("python")] = None
    return found


def write(rows: list[Row]) -> None:
    """Replaces the rows that were run, by machine and command; keeps the others in their order."""
    before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
    old, _, after = rest.partition(END)
    table = {tuple(line.split(" | ")[:2]): f"{line}\n" for line in old.strip().splitlines()[2:]}
    table |= {tuple(str(row).split(" | ")[:2]): str(row) for row in rows}
    DOCUMENT.write_text(f"{before}{BEGIN}\n{HEADER}{''.join(table.values())}{END}{after}", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo on each machine and in each place that can be had here.")
    parser.add_argument("--rows", default="", help="only the rows whose names hold this text")
    parser.add_argument("--python", action="append", default=[], help="a Python to try; may be given several times")
    parser.add_argument("--suite", action="store_true", help="run `make test` with each Python, too")
    parser.add_argument("--work", type=Path, help="a folder for the clones; default: a temporary one")
    parser.add_argument("--clone", type=Path, help="an installed clone for the places, in the place of a new one")
    options = parser.parse_args()
    rows: list[Row] = []
    known = {} if options.clone else pythons(options.python)

    def add(row: Row) -> None:
        rows.append(row)
        print(str(row), end="", flush=True)
        write([row])

    with tempfile.TemporaryDirectory(prefix="headrace-matrix-", dir=options.work) as work:
        machine = Machine(Path(work), options.clone and options.clone.resolve())
        for version, python in known.items():
            if python is None and options.rows in f"Python {version}":
                add(Row(f"Python {version}", "", f"not available: python{version} is not on PATH", True))
            elif python is not None and (options.rows in f"Python {version}" or machine.clone is None):
                for row in python_rows(machine, python, version, options.suite):
                    add(row)
        for name, place in PLACES.items():
            if options.rows in name:
                try:
                    add(place(machine))
                except NotAvailable as why:
                    add(Row(name, "", f"not available: {why}", True))
        subprocess.run(["rm", "-rf", work], check=False)  # jobs leave folders that only their owner may enter
        Path(work).mkdir(exist_ok=True)
    wrong = [row.name for row in rows if not row.expected]
    if wrong:
        print(f"error: {len(wrong)} rows went otherwise than expected: {', '.join(wrong)}", file=sys.stderr)
        print("\nhint: run one alone with --rows NAME", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
