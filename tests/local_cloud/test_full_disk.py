"""A disk that fills up while the local cloud runs: errors that say so, and all is well again once there is room."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bad_input_disk import run_on_small_disk
from botocore.config import Config
from botocore.exceptions import ClientError
from pipeline_runs import BUCKET, client, definition, free_port, make_role, processing_step, run, wait_for

from local_cloud.process import ACCOUNT, REGION, Running

KEEP_RUNNING = (
    "import sys; from pathlib import Path; from local_cloud import process; state = Path(sys.argv[1]); "
    "process.start(state, port=int(sys.argv[2])); print('up', flush=True); sys.stdin.read(); process.stop(state)"
)
ONCE = Config(retries={"total_max_attempts": 1})
PATIENCE = 240.0  # seconds until something that comes at once is taken for lost: other work may keep the machine busy


class SmallDisk:
    """A local cloud on a private tmpfs, seen from outside the namespace in which the tmpfs is mounted."""

    def __init__(self, keeper: int, inside: Path, port: int) -> None:
        self.inside = inside
        self.path = Path(f"/proc/{keeper}/root{inside}")
        state = self.path / "state"
        self.cloud = Running(
            keeper, f"https://localhost:{port}", state / "tls" / "localhost.crt", REGION, ACCOUNT, state
        )

    def fill(self) -> None:
        """Fill the disk to the last byte, except the rest of the log's last block, which takes up to ten lines."""
        with (self.cloud.state / "server.log").open("ab") as log:
            log.write(b"\n" * (4097 - log.tell() % 4096))
        size = 1 << 20
        with (self.path / "filler").open("ab", buffering=0) as file:
            while size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        (self.path / "filler").unlink(missing_ok=True)

    def log(self) -> str:
        return (self.cloud.state / "server.log").read_text()

    def until_logged(self, text: str, after: int = 0) -> None:
        deadline = time.monotonic() + PATIENCE
        while text not in self.log()[after:]:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def until_saved(self) -> None:
        """What an earlier test left unsaved is saved, so that the log says nothing more of it."""
        deadline = time.monotonic() + PATIENCE
        while self.log().count("the state is not saved") > self.log().count("the state is saved again"):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def connect(self, service: str, config: Config | None = None) -> Any:
        return client(self.cloud, service, config)


pytestmark = [pytest.mark.process, pytest.mark.timeout(5 * PATIENCE)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    disk, port = tmp_path_factory.mktemp("small") / "disk", free_port()
    run_on_small_disk(disk, "1m", "true")  # skips where it cannot be done
    script = 'mount -t tmpfs -o size=32m tmpfs "$1" && exec "$2" -c "$3" "$1/state" "$4"'
    keeper = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(disk), sys.executable,
         KEEP_RUNNING, str(port)],
        cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with keeper:
        assert keeper.stdout.readline() == "up\n"
        yield SmallDisk(keeper.pid, disk, port)
        keeper.stdin.close()
        keeper.wait(PATIENCE)


@pytest.fixture
def disk(running: SmallDisk) -> Iterator[SmallDisk]:
    yield running
    running.free()


@pytest.fixture(scope="module")
def role(running: SmallDisk) -> str:
    running.connect("s3").create_bucket(Bucket=BUCKET)
    return make_role(running.connect("iam"), "everything", ["sagemaker:*", "s3:*", "logs:*", "iam:PassRole"], ["*"])


def test_a_call_that_cannot_be_kept_is_an_error_and_changes_nothing(disk: SmallDisk) -> None:
    sagemaker = disk.connect("sagemaker", ONCE)
    disk.fill()
    for _ in range(2):
        with pytest.raises(ClientError, match=r"\(InternalFailure\).*cannot be written: .*full. hint: make room"):
            sagemaker.create_model_package_group(
                ModelPackageGroupName="group", Tags=[{"Key": "large", "Value": "x" * 256}]
            )
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    disk.free()
    assert sagemaker.create_model_package_group(ModelPackageGroupName="group")["ModelPackageGroupArn"]


def test_an_object_that_cannot_be_kept_is_an_error(disk: SmallDisk, role: str) -> None:
    s3 = disk.connect("s3", ONCE)
    disk.fill()
    with pytest.raises(ClientError, match=rf"InternalError.*{BUCKET}/object was not kept. hint: make room"):
        s3.put_object(Bucket=BUCKET, Key="object", Body=b"0" * 100_000)
    disk.free()
    assert s3.put_object(Bucket=BUCKET, Key="object", Body=b"0" * 100_000)["ETag"]


def test_a_job_that_fills_the_disk_fails_and_says_why(disk: SmallDisk, role: str) -> None:
    sagemaker = disk.connect("sagemaker")
    greedy = processing_step("Greedy", role, "cat /dev/zero > /opt/ml/processing/out/all")
    execution, steps = run(sagemaker, "greedy", definition(greedy), role, seconds=PATIENCE)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["Greedy"]["FailureReason"].startswith("ClientError: No space left on the disk that the job ran on")
    modest = processing_step("Modest", role, "echo 1 > /opt/ml/processing/out/one")
    execution, steps = run(sagemaker, "modest", definition(modest), role, seconds=PATIENCE)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps


def test_the_end_of_a_job_is_recorded_once_there_is_room(disk: SmallDisk, role: str) -> None:
    sagemaker = disk.connect("sagemaker")
    hold = disk.path / "hold"
    hold.touch()
    step = processing_step("Held", role, f"while [ -e {disk.inside}/hold ]; do sleep 0.1; done")
    sagemaker.create_pipeline(PipelineName="held", PipelineDefinition=definition(step), RoleArn=role)
    arn = sagemaker.start_pipeline_execution(PipelineName="held")["PipelineExecutionArn"]
    deadline = time.monotonic() + PATIENCE
    while "Metadata" not in str(sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = len(disk.log())  # the test before has logged the same
    disk.fill()
    hold.unlink()
    disk.until_logged("waiting for room on the disk", before)
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert execution["PipelineExecutionStatus"] == "Executing"
    disk.free()
    execution, steps = wait_for(sagemaker, arn, PATIENCE)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert "No space left on the disk" in steps["Held"]["FailureReason"]


def test_saving_says_once_that_it_fails_and_goes_on(disk: SmallDisk) -> None:
    disk.until_saved()
    before = len(disk.log())
    disk.fill()
    disk.until_logged("the state is not saved", before)
    time.sleep(6)  # it is tried again after 5 s, once at least
    disk.connect("sqs").create_queue(QueueName="made-on-a-full-disk")
    disk.free()
    disk.until_logged("the state is saved again", before)
    said = re.findall(r"Persistence: failed|is not saved|is saved again", disk.log()[before:])
    assert said == ["is not saved", "Persistence: failed", "is saved again"]
    assert "made-on-a-full-disk" in (disk.cloud.state / "aws" / "sqs.json").read_text()
