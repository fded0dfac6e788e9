"""python -m benchmarks.gpu.part NAME FOLDER [--small]: one part, in a separate process."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

ROOT = Path(__file__).absolute().parents[2]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a part is given: room for its files, its size, and where its figures go."""

    folder: Path
    small: bool

    def add(self, what: str, value: float | str, unit: str = "") -> None:
        """Written at once: a part that is ended later has measured this."""
        with (self.folder / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, "value": value, "unit": unit}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit("ended from outside"))  # so that `finally` is run
    if arguments.small:
        torch.set_num_threads(1)  # of tiny work that shares the processor
    importlib.import_module(f"benchmarks.gpu.{arguments.name}").measure(Bench(arguments.folder, arguments.small))


if __name__ == "__main__":
    main()
