"""The tests of training/, which need no cloud, on this machine's torch and GPU."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

from benchmarks.gpu.part import ROOT, Bench

SMALL = ("test_loading.py", "test_reporting.py", "test_compiling.py")
OUTCOME = re.compile(
    r"(?:(tests/\S+::\S+.*?) )?\b(PASSED|FAILED|ERROR|SKIPPED)\b(?: +\[ *\d+%\])?(?: (tests/\S+::.*))?"
)
# Not the project's own settings: its warnings are errors, and another torch warns of other things.
SETTINGS = """\
[pytest]
pythonpath = {paths}
addopts = --import-mode=importlib
"""


def measure(bench: Bench) -> None:
    paths = " ".join(str(ROOT / folder) for folder in (".", "training", "tests/support"))
    (bench.folder / "pytest.ini").write_text(SETTINGS.format(paths=paths), "utf-8")
    tests = [f"tests/training/{name}" for name in SMALL] if bench.small else ["tests/training"]
    command = [sys.executable, "-B", "-m", "pytest", "-c", str(bench.folder / "pytest.ini"), "--rootdir", str(ROOT)]
    command += ["-v", "--color=no", "-p", "no:cacheprovider", "--basetemp", str(bench.folder / "temporary"), *tests]
    if not bench.small and importlib.util.find_spec("xdist"):
        command += ["-n", str(min(8, os.cpu_count() or 1))]
    seen: dict[str, set[str]] = {outcome: set() for outcome in ("PASSED", "FAILED", "ERROR", "SKIPPED")}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            found = OUTCOME.search(line)
            if found and (name := (found[1] or found[3] or "").partition(" - ")[0].strip()):
                if name not in seen[found[2]] and found[2] in ("FAILED", "ERROR"):
                    bench.add(f"{found[2].lower()}: {name}", "its reason is in the output")
                seen[found[2]].add(name)
        status = process.wait()
    finally:  # also when the time is over
        counts = ", ".join(f"{len(names)} {outcome.lower()}" for outcome, names in seen.items() if names)
        bench.add("tests", counts or "none ran")
    if status != 0 or not seen["PASSED"]:
        raise RuntimeError(f"pytest ended with status {status}: {counts}")
