"""The command line of benchmarks/gpu.sh: run the parts one after the other, and write what they measured."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.gpu.machine import describe_machine, find_missing, prepare_interpreter
from benchmarks.gpu.parts import PARTS, run_all
from benchmarks.gpu.report import write_report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(os.environ.get("OUT") or "build/gpu"))
    parser.add_argument("--small", action="store_true", help="every part in miniature, on a CPU as well")
    parser.add_argument("--only", default="", metavar="PART,...", help=", ".join(part.name for part in PARTS))
    parser.add_argument("--seconds", type=float, default=460.0, help="limit of all parts together (%(default)s)")
    arguments = parser.parse_args(argv)
    wanted = set(arguments.only.split(",")) if arguments.only else {part.name for part in PARTS}
    if unknown := wanted - {part.name for part in PARTS}:
        parser.error(
            f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(part.name for part in PARTS)}"
        )
    missing = find_missing()
    if "torch" in missing:
        print(f"error: {sys.executable} has no torch\nhint: PYTHON=/path/to/python benchmarks/gpu.sh", file=sys.stderr)
        return 2
    machine = describe_machine(missing)
    if not machine["gpu"] and not arguments.small:
        print(f"error: torch {machine['torch']} finds no GPU\nhint: benchmarks/gpu.sh --small runs all of it on a CPU",
              file=sys.stderr)  # fmt: skip
        return 2
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        python = prepare_interpreter(Path(name), missing)
        parts = [part for part in PARTS if part.name in wanted]
        results = []
        for result in run_all(parts, Path(name), python, arguments.small, arguments.seconds, missing):
            results.append(result)
            print(result.summary(), flush=True)
            write_report(arguments.folder, machine, results, arguments.small)  # whatever ends the next part
    print(f"written: {arguments.folder / 'gpu.json'} and gpu.md")
    return 1 if any(result.status in ("failed", "timed out") for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
