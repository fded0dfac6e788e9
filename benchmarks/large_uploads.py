"""python -m benchmarks.large_uploads [--size 1000] [--files 12000] [--profile FILE]

What a separate local cloud needs for a large data set: its memory, while an archive of `--size` MB comes as `headrace
upload` sends it, comes again in one PUT, and is read by a job; then the files a second that `headrace upload` sends
from a folder of `--files` images.

Wanted, for 1 GB: the server's peak <= 500 MB above its rest. Of 12,000 files on a quiet machine: >= 300 a second.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from boto3.s3.transfer import TransferConfig
from photographs import write_photographs
from pipeline_runs import BUCKET, client, definition, make_role, processing_step, run

from headrace.client.environment import Environment, open_environment
from headrace.commands import cdk
from headrace.commands.upload import TRANSFER
from headrace.project.folder import LOCAL
from headrace.project.local_cloud import ProcessCloud
from headrace.terminal.output import Output
from local_cloud import process
from local_cloud.process import Running

CLASSES = 100
SIZE = (96, 64)  # pixels; 7 KB each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, help="MB of the archive (%(default)s); 0 leaves it out")
    parser.add_argument("--files", type=int, default=12000, help="images in the folder (%(default)s); 0 leaves it out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADRACE_STATE"] = str(Path(folder) / "state")
        cloud = ProcessCloud()
        cloud.start(Path(folder) / "state")
        try:
            running = process.running(Path(folder) / "state")
            assert running is not None
            if arguments.size:
                measure_memory(running, Path(folder), arguments.size)
            if arguments.files:
                environment = open_environment(LOCAL, cloud)
                cdk.deploy(environment, Output())
                measure_speed(running, environment, Path(folder), arguments.files)
        finally:
            cloud.stop(Path(folder) / "state")


def measure_memory(cloud: Running, folder: Path, size: int) -> None:
    archive = folder / "archive.zip"
    with archive.open("wb") as file:
        for _ in range(size):
            file.write(os.urandom(10**6))
    s3, sagemaker = client(cloud, "s3"), client(cloud, "sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    role = make_role(client(cloud, "iam"), "reader", ["sagemaker:*", "s3:*", "logs:*", "iam:PassRole"], ["*"])
    rest = resident(cloud, "VmRSS")
    print(f"server at rest {rest:.0f} MB")
    with peak(cloud, rest, f"{size} MB in parts, as `headrace upload` sends it"):
        s3.upload_file(str(archive), BUCKET, "data/archive.zip", Config=TransferConfig(**TRANSFER))
    with peak(cloud, rest, f"{size} MB in one PUT"), archive.open("rb") as file:
        s3.put_object(Bucket=BUCKET, Key="data/archive.zip", Body=file)
    with peak(cloud, rest, "a job reads it"):
        source = {"S3Uri": f"s3://{BUCKET}/data/archive.zip", "LocalPath": "/opt/ml/processing/in", "S3DataType":
                  "S3Prefix", "S3InputMode": "File"}  # fmt: skip
        script = f'test "$(stat -c %s /opt/ml/processing/in/archive.zip)" = {archive.stat().st_size}'
        step = processing_step("Read", role, script, inputs=[{"InputName": "in", "S3Input": source}])
        execution, steps = run(sagemaker, "reader", definition(step), role, seconds=600)
        assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    archive.unlink()


def measure_speed(cloud: Running, environment: Environment, folder: Path, files: int) -> None:
    images = folder / "images"
    write_photographs(images, files, CLASSES, SIZE)
    rest, before, ended = resident(cloud, "VmRSS"), processor(cloud.pid), children()
    with peak(cloud, rest, f"{files} files by `headrace upload`") as seconds:
        command = [sys.executable, "-m", "headrace", "upload", str(images), "--no-check"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = processor(cloud.pid)
    print(f"{files / seconds():.0f} files a second, on a machine with a load of {os.getloadavg()[0]:.1f}")
    shares = {name: 1000 * (after[name] - before[name]) / files for name in after}
    shares["headrace upload"] = 1000 * (children() - ended) / files
    print("processor time of a file, ms: " + ", ".join(f"{name} {share:.2f}" for name, share in shares.items()))


def children() -> float:
    """Seconds that those have used that this process has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor(server: int) -> dict[str, float]:
    """Seconds that the server has used, and its functions: the processes that it has started."""
    functions = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    seconds = [sum(map(int, stat.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
               for stat in (Path(f"/proc/{process}/stat").read_text() for process in (server, *functions))]  # fmt: skip
    return {"server": seconds[0], "functions": sum(seconds[1:])}


@contextmanager
def peak(cloud: Running, rest: float, what: str) -> Iterator[Callable[[], float]]:
    """Prints how long it took, and how much of the server's memory was resident at most, above its rest."""
    Path(f"/proc/{cloud.pid}/clear_refs").write_text("5")  # forgets the peak so far
    begun, ended = time.monotonic(), [0.0]
    yield lambda: ended[0]
    ended[0] = time.monotonic() - begun
    print(f"{what}: {ended[0]:.1f} s, peak {resident(cloud, 'VmHWM') - rest:.0f} MB above rest", flush=True)


def resident(cloud: Running, name: str) -> float:
    """MB, of ``VmRSS`` (now) or ``VmHWM`` (the peak)."""
    lines = Path(f"/proc/{cloud.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
