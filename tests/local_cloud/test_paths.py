"""Jobs stay in their folder: no path of a request, and nothing that a job leaves, leads the local cloud out of it."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from in_process import ROLE, InProcess, Refused

from local_cloud.sagemaker.containers import transfer
from local_cloud.sagemaker.containers.folder import Folder, UnsafePath, parts, under
from local_cloud.sagemaker.containers.opt_ml import local_folder, message

ODD = st.sampled_from(
    ["..", ".", "", "/", "//", "a", "ü", "\u202e", "\ufeff", "a" * 256, "\n", "...", ".. ", "\\..", "~"]
)
PATHS = st.one_of(
    st.lists(ODD, min_size=1, max_size=6).map("/".join),
    st.lists(ODD, min_size=1, max_size=6).map(lambda items: "/opt/ml/processing/" + "/".join(items)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
OFTEN = settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """What has to stay as it is beside the job's folder, checked at the end."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    yield secret
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "sagemaker") == ["job", "secret"]
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["ml"]
    assert [path.name for path in secret.iterdir()] == ["key"]
    assert (secret / "key").read_text() == "hunter2"


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    made = tmp_path / "job" / "ml"
    made.mkdir(parents=True)
    return made


class Bucket:
    """S3 with the objects that a test puts, as far as `transfer` asks it."""

    def __init__(self, *keys: str) -> None:
        self.objects = dict.fromkeys(keys, b"object")

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": Piece(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: Any) -> None:
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()

    def get_paginator(self, operation: str) -> "Bucket":
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": key} for key in self.objects if key.startswith(Prefix)]}]


class Piece:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def iter_chunks(self, size: int) -> list[bytes]:
        return [self.content]


@OFTEN
@given(path=PATHS)
@example(path="/opt/ml/processing/../../secret")
@example(path="/opt/ml/../ml/../../../etc")
def test_no_local_path_leads_out(root: Path, path: str) -> None:
    """Either it is refused, or a file that is written there lies in the folder."""
    try:
        folder = local_folder(root, path)
        with folder.create("probe") as file:
            file.write(b"probe")
    except UnsafePath:
        return
    assert [found.name.rpartition("/")[2] for found in Folder(root).files()] == ["probe"]
    assert {path.resolve().is_relative_to(root) for path in root.rglob("*")} == {True}
    Folder(root).clear()


@OFTEN
@given(path=PATHS)
def test_no_object_key_leads_out_of_its_input(root: Path, path: str) -> None:
    bucket = Bucket(f"input/{path}")
    try:
        transfer.download_prefix(bucket, "s3://bucket/input/", Folder(root, "input"))
    except transfer.TransferError:
        return
    assert len(list(Folder(root, "input").files())) == (bool(path) and not path.endswith("/"))
    Folder(root).clear()


@OFTEN
@given(path=PATHS)
def test_parts_are_names_and_nothing_else(path: str) -> None:
    try:
        found = parts(path)
    except UnsafePath:
        return
    assert not set(found) & {"", ".", ".."}
    assert not any("/" in part or "\0" in part for part in found)


def processing(**more: Any) -> dict[str, Any]:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    return {
        "ProcessingJobName": "job",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": "1.dkr/pytorch:1", "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {"ClusterConfig": cluster},
        **more,
    }


def s3_input(path: str) -> list[dict[str, Any]]:
    return [{"InputName": "in", "S3Input": {"S3Uri": "s3://b/k", "LocalPath": path, "S3DataType": "S3Prefix"}}]


def s3_output(path: str) -> dict[str, Any]:
    target = {"S3Uri": "s3://b/k", "LocalPath": path, "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "out", "S3Output": target}]}


def training(path: str = "/opt/ml/checkpoints", channel: str = "train") -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}
    algorithm = {"TrainingImage": "1.dkr/pytorch:1", "TrainingInputMode": "File", "ContainerEntrypoint": ["true"]}
    return {
        "TrainingJobName": "job",
        "RoleArn": ROLE,
        "AlgorithmSpecification": algorithm,
        "InputDataConfig": [{"ChannelName": channel, "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 10},
        "CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": path},
    }


OUT = ["/opt/ml/processing/../../secret", "/opt/ml/processing/..", "/opt/ml/processing/a/../../../x", "/etc"]
REQUESTS = [
    *(("CreateProcessingJob", processing(ProcessingInputs=s3_input(path))) for path in OUT),
    *(("CreateProcessingJob", processing(ProcessingOutputConfig=s3_output(path))) for path in OUT),
    *(("CreateTrainingJob", training(path)) for path in ("/opt/ml/..", "/opt/ml/../x", "/etc", "checkpoints")),
    *(("CreateTrainingJob", training(channel=name)) for name in ("..", ".")),
]


@pytest.mark.parametrize(("operation", "request_"), REQUESTS)
def test_a_request_whose_path_leads_out_is_refused(tmp_path: Path, operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="ValidationException"):
        InProcess(tmp_path).call(operation, **request_)


def test_a_link_that_a_job_left_is_not_followed_when_its_output_is_uploaded(root: Path, outside: Path) -> None:
    (root / "output").symlink_to(outside)
    (root / "model").mkdir()
    (root / "model" / "weights").write_text("weights")
    (root / "model" / "leaf").symlink_to(outside / "key")
    (root / "model" / "inner").symlink_to(outside)
    bucket = Bucket()
    with pytest.raises(UnsafePath, match="is a link"):
        transfer.upload_folder(bucket, Folder(root, "output"), "s3://bucket/out")
    transfer.upload_folder(bucket, Folder(root, "model"), "s3://bucket/model")
    assert bucket.objects == {"model/weights": b"weights"}
    with pytest.raises(UnsafePath):
        Folder(root, "output").create("message")
    with pytest.raises(UnsafePath):
        Folder(root, "output").clear()


def test_a_link_in_a_model_is_packed_as_a_link(root: Path, outside: Path) -> None:
    (root / "model").mkdir()
    (root / "model" / "weights").write_text("weights")
    (root / "model" / "latest").symlink_to("weights")
    (root / "model" / "key").symlink_to(outside / "key")
    archive = root / "archive"
    transfer.pack([Folder(root, "model")], archive)
    with tarfile.open(archive) as tar:
        found = {member.name: (member.type, member.size) for member in tar}
    assert found == {"weights": (tarfile.REGTYPE, 7), "latest": (tarfile.SYMTYPE, 0), "key": (tarfile.SYMTYPE, 0)}


def test_the_same_files_make_the_same_archive_whenever_and_wherever_it_is_made(root: Path) -> None:
    for number, name in enumerate(("first", "second")):
        (root / name).mkdir()
        (root / name / "weights").write_text("weights")
        os.utime(root / name / "weights", (number, number))
        transfer.pack([Folder(root, name)], root / f"{name}.tar.gz")
    assert (root / "first.tar.gz").read_bytes() == (root / "second.tar.gz").read_bytes()


def test_the_last_words_of_a_job_are_read_from_a_regular_file_alone(root: Path, outside: Path) -> None:
    output = Folder(root, "output")
    output.make()
    for name in ("link", "pipe", "folder"):
        assert message(output, name) == ""
    (root / "output" / "link").symlink_to(outside / "key")
    os.mkfifo(root / "output" / "pipe")
    (root / "output" / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        assert message(output, name) == ""
        assert output.changed(name) is None
    (root / "output" / "message").write_text("why " * 1000)
    assert len(message(output, "message")) == 1023


def test_what_is_written_takes_the_place_of_a_link(root: Path, outside: Path) -> None:
    (root / "input").mkdir()
    (root / "input" / "config.json").symlink_to(outside / "key")
    Folder(root).write_json("input/config.json", {"a": 1})
    assert (root / "input" / "config.json").read_text() == '{"a": 1}'


def test_a_path_is_below_its_base_or_refused() -> None:
    assert under("/opt/ml", "/opt/ml/a//b/./c/") == ("a", "b", "c")
    for path in ("/opt/ml", "/opt/mlx/a", "opt/ml/a", "/opt/ml/a/../..", ""):
        with pytest.raises(UnsafePath):
            under("/opt/ml", path)
