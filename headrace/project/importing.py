"""python importing.py FOLDER [--network NAME ...] SCRIPT ...

Import each script of the folder as a job would, in this process and with this environment, and print as JSON what went
wrong, or null. A script's main part does not run: its `__name__` is not `__main__`. What it prints goes to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import runpy
import sys
import traceback
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", action="append", default=[], help="a name that model.py has to know")
    parser.add_argument("scripts", nargs="*")
    options = parser.parse_intermixed_args()
    sys.path.insert(0, str(options.folder))
    with contextlib.redirect_stdout(sys.stderr):
        problem = check(options.folder, options.scripts, options.network)
    print(json.dumps(problem))


def check(folder: Path, scripts: list[str], networks: list[str]) -> dict[str, str] | None:
    """The first problem: where it is, and what Python says."""
    for script in scripts:
        try:
            runpy.run_path(str(folder / script), run_name=script.removesuffix(".py"))
        except BaseException as error:  # a script may end Python as well
            return {"where": place(error, folder) or script, "what": f"{type(error).__name__}: {error}"}
    for network in networks:
        try:
            refuse = getattr(__import__("model"), "refuse_unknown", None)
            if refuse is not None:
                refuse(network)
        except Exception as error:
            return {"where": "model.py", "what": str(error)}
    return None


def place(error: BaseException, folder: Path) -> str | None:
    """The innermost line of the folder that led to the error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if folder in Path(frame.filename).parents]
    return f"{Path(frames[-1].filename).relative_to(folder)}, line {frames[-1].lineno}" if frames else None


if __name__ == "__main__":
    main()
