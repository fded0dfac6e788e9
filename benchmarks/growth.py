"""python -m benchmarks.growth [--minutes 40]

How the state of a local cloud grows: the app is deployed, the digits are uploaded, and then one small run follows
another, each with a different learning rate, so that both lanes train again. After each run the size of the state is
printed; at the end the size of each part of it, the runs that have succeeded, and whether what must stay is there: each
registered artifact, by its SHA-256, and the last run's outputs.

Wanted: after 40 minutes the state is <= 300 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from deployed_app import deployment, project_with

from headrace.client import model_packages as registry
from headrace.client.environment import Environment
from headrace.commands import runs, upload, watch
from headrace.demo.digits import write_digits
from headrace.terminal.output import Output

QUIET = Output(stdout=StringIO(), stderr=StringIO())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=40, help="how long to start runs (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state, project = Path(folder) / "state", Path(folder) / "project"
        project.mkdir()
        project_with(project, max_runs_per_day="1000")
        with deployment(state, project=project) as app:
            measure(app.environment, state, Path(folder), arguments.minutes)


def measure(environment: Environment, state: Path, folder: Path, minutes: float) -> None:
    images, _ = write_digits(folder)
    print(f"deployed: {megabytes(state):.0f} MB", flush=True)
    began, number = time.monotonic(), 0
    while time.monotonic() - began < 60 * minutes:
        after = datetime.now(UTC)
        if number == 0:
            upload.upload(environment, QUIET, path=images, name=None, delete=False)
        else:
            rate = f"{0.002 + number * 0.00001:.5f}"
            chosen = {"Epochs": "2", "LearningRate": rate, "AccuracyThreshold": "0.1"}
            runs.run_again(environment, QUIET, data_set="digits", again=True, chosen=chosen)
        watch.watch(environment, QUIET, name=None, after=after, wait_for_start=120, interval=0.5)
        number += 1
        elapsed = (time.monotonic() - began) / 60
        print(f"run {number:3}, minute {elapsed:5.1f}: {megabytes(state):6.0f} MB", flush=True)
    for part in sorted([*state.iterdir(), *(state / "s3/000000000000").glob("*/*")]):
        if megabytes(part) >= 1:
            print(f"{megabytes(part):8.1f} MB  {'/'.join(part.relative_to(state).parts[-2:])}")
    s3, models = environment.client("s3"), registry.list_models(environment)
    for model in models:
        bucket, _, key = str(model.artifact).removeprefix("s3://").partition("/")
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert hashlib.sha256(content).hexdigest() in key, f"version {model.version} has lost its artifact"
    print(f"{number} runs, {len(models)} versions, each with its artifact")


def megabytes(path: Path) -> float:
    """The space used on the disk; a file with two links counts once."""
    seen: dict[int, int] = {}
    for file in [path, *path.rglob("*")]:
        try:
            found = file.lstat()
        except FileNotFoundError:
            continue  # it was deleted meanwhile
        seen[found.st_ino] = found.st_blocks * 512
    return sum(seen.values()) / 1e6


if __name__ == "__main__":
    main()
