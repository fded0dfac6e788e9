"""Data sets that cannot be used: preprocessing as a real job of a real local cloud, its code the project's own."""

from __future__ import annotations

import io
import itertools
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input_disk import run_on_small_disk
from image_samples import ROOT, TRAINING, prepare, write_contents, write_pictures
from pipeline_runs import BUCKET, definition, processing_step, run

from local_cloud.process import Running
from pipeline_definition.job import entrypoint

SECTION = "Data sets"
REASON = "FailureReason of the step"
FOLDER = "/opt/ml/processing"
SPLITS = [word for split in ("train", "validation", "test") for word in (f"--{split}", f"{FOLDER}/{split}")]
PREPROCESS = [
    *("preprocess.py", "--data", f"{FOLDER}/data", "--contents", f"{FOLDER}/contents/contents.json"),
    *SPLITS,
]
NUMBERS = itertools.count()

Connect = Callable[[str], Any]
Row = Callable[..., None]


def source(*others: tuple[str, str]) -> bytes:
    """The code archive: training/ and data_sets/, with other files beside them."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        for path in sorted([*TRAINING.glob("*.py"), TRAINING / "requirements.txt"]):
            file.add(path, arcname=path.name)
        for path in sorted((ROOT / "data_sets").glob("*.py")):
            file.add(path, arcname=f"data_sets/{path.name}")
        for name, text in others:
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            file.addfile(info, io.BytesIO(text.encode()))
    return archive.getvalue()


@pytest.fixture(scope="session")
def code(connect: Connect, bucket: str) -> str:
    key = "jobs/source.tar.gz"  # at code/, the functions of other modules would find it too
    connect("s3").put_object(Bucket=bucket, Key=key, Body=source())
    return key


@pytest.fixture
def job(connect: Connect, role: str) -> Callable[..., tuple[dict[str, Any], list[str]]]:
    """Runs a step with the given inputs; the step, and the lines of its log."""

    def start(words: list[str], *, pipeline: str = "", **inputs: str) -> tuple[dict[str, Any], list[str]]:
        given = [
            {"InputName": name, "S3Input": {"S3Uri": f"s3://{BUCKET}/{key}", "LocalPath": f"{FOLDER}/{name}",
                                            "S3DataType": "S3Prefix", "S3InputMode": "File"}}
            for name, key in inputs.items()
        ]  # fmt: skip
        step = processing_step("Preprocess", role, "", inputs=given)
        step["Arguments"]["AppSpecification"] |= {
            "ContainerEntrypoint": entrypoint(f"{FOLDER}/code"), "ContainerArguments": words,
        }  # fmt: skip
        _, steps = run(connect("sagemaker"), pipeline or f"bad-data-{next(NUMBERS)}", definition(step), role)
        name = steps["Preprocess"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
        group = {"logGroupName": "/aws/sagemaker/ProcessingJobs"}
        (stream,) = connect("logs").describe_log_streams(**group, logStreamNamePrefix=name)["logStreams"]
        events = connect("logs").get_log_events(**group, logStreamName=stream["logStreamName"])["events"]
        return steps["Preprocess"], [event["message"] for event in events]

    return start


@pytest.fixture
def preprocess(connect: Connect, code: str, job: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def start(data: Path, **more: str) -> tuple[dict[str, Any], list[str]]:
        s3, prefix = connect("s3"), f"data-{next(NUMBERS)}"
        for path in data.rglob("*"):
            if path.is_file():
                s3.upload_file(str(path), BUCKET, f"{prefix}/data/{path.relative_to(data)}")
        contents = write_contents(data, tmp_path / "contents.json")
        s3.upload_file(str(contents), BUCKET, f"{prefix}/contents.json")
        return job(PREPROCESS, code=code, data=f"{prefix}/data", contents=f"{prefix}/contents.json", **more)

    return start


@pytest.fixture
def reason(preprocess: Callable[..., Any]) -> Callable[[Path], str]:
    """The FailureReason of a preprocessing that has to fail."""

    def start(data: Path) -> str:
        step, log = preprocess(data)
        assert step["StepStatus"] == "Failed", log
        return str(step["FailureReason"])

    return start


def test_no_images(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/notes.txt").write_text("none yet")
    row("a data set without images", REASON, reason(tmp_path / "data"))


def test_one_class(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    row("a data set of one class", REASON, reason(write_pictures(tmp_path / "data", {"red": 9})))


def test_a_failed_run_that_is_watched(
    row: Row, preprocess: Callable[..., Any], connect: Connect, cloud: Running, stack: str,
    headrace: Callable[..., str], tmp_path: Path,
) -> None:  # fmt: skip
    preprocess(write_pictures(tmp_path / "data", {"red": 9}), pipeline="headrace-local")
    (execution,) = connect("sagemaker").list_pipeline_executions(PipelineName="headrace-local")[
        "PipelineExecutionSummaries"
    ]
    said = headrace(cloud.state, "watch", execution["PipelineExecutionArn"])
    said = re.sub(r"(last lines of the log of \w+:).*?\n\n", r"\1 <…>\n", said, flags=re.DOTALL)
    said = re.sub(r"execution-\d+", "<run>", said)
    row("the same, watched", "command output of `watch`", said[said.index("error:") :])


def test_an_image_without_a_class(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 5, "blue": 5})
    (data / "red/0.png").rename(data / "0.png")
    row("an image in no class folder", REASON, reason(data))


def test_too_few_images(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    row("a class of two images", REASON, reason(write_pictures(tmp_path / "data", {"red": 5, "blue": 2})))


def corrupt(data: Path, *names: str) -> Path:
    for name in names:
        (data / name).write_bytes((data / name).read_bytes()[:60])
    return data


def test_corrupt_files_beyond_the_limit(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 10, "blue": 10})
    data = corrupt(data, "red/0.png", "red/1.png", "blue/5.png", "blue/6.png")
    row("corrupt images, more than 5%", REASON, reason(data))


def test_corrupt_files_within_the_limit(row: Row, preprocess: Callable[..., Any], tmp_path: Path) -> None:
    step, log = preprocess(corrupt(write_pictures(tmp_path / "data", {"red": 10, "blue": 10}), "red/0.png"))
    assert step["StepStatus"] == "Succeeded", log
    (line,) = [line for line in log if line.startswith("skipped ")]
    row("corrupt images, at most 5%", "log of the job, `skipped` in dataset.json; the run goes on", line)


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path.parent


def test_an_archive_that_leaves_its_folder(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    data = tar(tmp_path / "data/birds.tar.gz", (tarfile.TarInfo("../red/0.png"), b"content"))
    row("an archive with `../`", REASON, reason(data))


def test_an_archive_with_an_absolute_path(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with zipfile.ZipFile(tmp_path / "data/birds.zip", "w") as file:
        file.writestr("/etc/cron.d/red.png", b"content")
    row("an archive with an absolute path", REASON, reason(tmp_path / "data"))


def test_an_archive_with_a_link(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    link = tarfile.TarInfo("red/0.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    row("an archive with a link", REASON, reason(tar(tmp_path / "data/birds.tar.gz", (link, b""))))


def test_a_bomb(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    data = tar(tmp_path / "data/birds.tar.gz", (tarfile.TarInfo("red/0.png"), bytes(65 * 2**20)))
    row("an archive that is a bomb (beyond 200:1 and 64 MiB)", REASON, reason(data))


def test_a_damaged_archive(row: Row, reason: Callable[[Path], str], tmp_path: Path) -> None:
    data = tar(tmp_path / "data/birds.tar.gz", (tarfile.TarInfo("red/0.png"), os.urandom(9000)))
    content = (data / "birds.tar.gz").read_bytes()
    (data / "birds.tar.gz").write_bytes(content[: len(content) // 2])
    row("an archive that is cut off", REASON, reason(data))


def test_an_import_of_what_is_not_there(row: Row, connect: Connect, job: Callable[..., Any], bucket: str) -> None:
    archive = source(("mine.py", "import numpy\nimport boto3\n"))
    connect("s3").put_object(Bucket=bucket, Key="importing/source.tar.gz", Body=archive)
    step, log = job(["mine.py"], code="importing/source.tar.gz")
    assert "ModuleNotFoundError: No module named 'boto3'" in log
    row("a job script that imports what neither its image nor requirements.txt has", REASON, step["FailureReason"])


def test_a_requirement_that_is_not_there(row: Row, connect: Connect, job: Callable[..., Any], bucket: str) -> None:
    archive = source(("requirements.txt", "pillow==1.0\n"), ("mine.py", ""))
    connect("s3").put_object(Bucket=bucket, Key="requiring/source.tar.gz", Body=archive)
    step, _ = job(["mine.py"], code="requiring/source.tar.gz")
    row("requirements.txt names what the local cloud cannot install", REASON, step["FailureReason"])


def test_a_requirement_without_a_hash(row: Row, connect: Connect, job: Callable[..., Any], bucket: str) -> None:
    archive = source(("requirements.txt", "--require-hashes\npillow==13.0.0\n"), ("mine.py", ""))
    connect("s3").put_object(Bucket=bucket, Key="hashing/source.tar.gz", Body=archive)
    step, _ = job(["mine.py"], code="hashing/source.tar.gz")
    row("requirements.txt asks for hashes and one is missing", REASON, step["FailureReason"])


JOB = """mkdir -p "$1/code/data_sets" && cp "$2"/*.py "$1/code" \\
        && cp "$2/../data_sets"/*.py "$1/code/data_sets" && cd "$1" && """


def room(kibibytes: int) -> str:
    """The size of a tmpfs that has this much room beside the code, whose files take whole pages."""
    files = [*TRAINING.glob("*.py"), *(ROOT / "data_sets").glob("*.py")]
    return f"{sum(-(-file.stat().st_size // 4096) * 4 for file in files) + kibibytes}k"


def test_a_full_disk_in_preprocessing(row: Row, tmp_path: Path) -> None:
    data, disk = write_pictures(tmp_path / "data", {"red": 50, "blue": 50}), tmp_path / "ml"
    contents = write_contents(data, tmp_path / "contents.json")
    folders = " ".join(f"--{split} {split}" for split in ("train", "validation", "test"))
    script = f"""{JOB} TMPDIR="$1" "$3" code/entry.py preprocess.py --data "$4" --contents "$5" {folders} \\
        --image-size 128 >/dev/null 2>&1; cat output/message"""
    said = run_on_small_disk(disk, "2m", script, disk, TRAINING, sys.executable, data, contents)
    row("a full disk in preprocessing: 5 MB of arrays on a tmpfs of 2 MiB", "output/message, which becomes the "
        "FailureReason", said, disk=disk)  # fmt: skip


def test_a_full_disk_at_the_model(row: Row, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 9})
    prepared, disk = prepare(data, tmp_path / "prepared", "--image-size", "16"), tmp_path / "ml"
    script = f"""{JOB} mkdir -p input/config && "$3" code/entry.py train.py --train "$4/train" \\
        --validation "$4/validation" --model-dir model --epochs 1 >/dev/null 2>&1; cat output/failure"""
    said = run_on_small_disk(disk, room(96), script, disk, TRAINING, sys.executable, prepared, OMP_NUM_THREADS="1")
    row("a full disk when the model is written: 96 KiB are free", "output/failure, which becomes the FailureReason",
        said, disk=disk)  # fmt: skip


def test_a_full_disk_at_a_checkpoint(row: Row, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 9})
    prepared, disk = prepare(data, tmp_path / "prepared", "--image-size", "16"), tmp_path / "ml"
    script = f"""{JOB} mkdir -p input/config && "$3" code/entry.py train.py --train "$4/train" \\
        --validation "$4/validation" --model-dir model --checkpoint-dir checkpoints --checkpoint-seconds 0 \\
        >log 2>&1; rm -f log; cat output/failure; ls checkpoints"""
    said = run_on_small_disk(disk, room(196), script, disk, TRAINING, sys.executable, prepared, OMP_NUM_THREADS="1")
    row("a full disk at a checkpoint: 196 KiB are free", "output/failure, which becomes the FailureReason", said,
        disk=disk)  # fmt: skip
