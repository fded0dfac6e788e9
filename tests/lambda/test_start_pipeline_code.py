"""An archive of code that is put into the bucket is what the next run's jobs are given, by its content."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import tarfile
from typing import Any

import pytest
from worlds import BINDINGS, BUCKET, DEFINITION, NAME, UploadWorld

KEY = "code/source.tar.gz"
REFUSAL = f"pipelines/{NAME}.error.json"


@pytest.fixture
def world() -> UploadWorld:
    """Its definition names the code."""
    world = UploadWorld()
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["Environment"] = {"CODE": "${headrace:CodeUri}"}
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", json.dumps(definition).encode())
    return world


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"./{name}.py")
            entry.size = len(text)
            target.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def linked() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as target:
        entry = tarfile.TarInfo("entry.py")
        entry.type, entry.linkname = tarfile.SYMTYPE, "train.py"
        target.addfile(entry)
    return buffer.getvalue()


def put(world: UploadWorld, content: bytes) -> str:
    world.cloud.put(BUCKET, KEY, content)
    world._notify("s3_object_created", KEY)
    return f"code/{hashlib.sha256(content).hexdigest()}/source.tar.gz"


def code_in_force(world: UploadWorld) -> str:
    """The address in the pipeline's definition, below the bucket."""
    text = json.dumps(world.cloud.pipelines[NAME]["PipelineDefinition"])
    (found,) = {part.partition('"')[0].rstrip(chr(92)) for part in text.split(f"s3://{BUCKET}/code/")[1:]}
    return f"code/{found}"


def test_code_that_is_put_is_kept_by_its_content_and_bound(world: UploadWorld) -> None:
    first, second = (archive(entry=text) for text in ("one", "two"))
    place = put(world, first)
    world.settle()
    assert world.cloud.text(BUCKET, place) == first
    assert code_in_force(world) == place
    later = put(world, second)
    world.settle()
    assert code_in_force(world) == later
    assert world.cloud.text(BUCKET, place) == first  # an execution under way may still read it


def test_without_an_archive_the_code_that_was_deployed_is_in_force(world: UploadWorld) -> None:
    put(world, archive(entry="one"))
    world.settle()
    world.remove(KEY)
    world.settle()
    assert f"s3://{BUCKET}/{code_in_force(world)}" == BINDINGS["CodeUri"]


def test_a_deployment_that_has_ended_has_the_pipeline_made_anew(world: UploadWorld) -> None:
    """Without a change of definition or code: what they are bound to may have changed."""
    world.send({"headrace": "publish"})
    world.settle()
    assert f"s3://{BUCKET}/{code_in_force(world)}" == BINDINGS["CodeUri"]
    assert not world.executions()


def test_other_code_makes_another_run_of_the_same_data(world: UploadWorld) -> None:
    world.upload("datasets/birds/a.jpg")
    world.settle()
    put(world, archive(entry="one"))
    world.upload("datasets/birds/a.jpg")
    world.settle()
    assert len(world.executions()) == 2


def test_an_archive_is_read_once(world: UploadWorld) -> None:
    put(world, archive(entry="one"))
    world.settle()
    reads: list[str] = []

    def watch(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == ("before", "GetObject"):
            reads.append(parameters["Key"])

    world.cloud.interrupt = watch
    world.upload("datasets/birds/a.jpg")
    world.settle()
    assert KEY not in reads
    assert any(key.startswith("ledger/code/") for key in reads)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "is not a gzip-compressed tar archive", id="empty"),
        pytest.param(b"not an archive", "is not a gzip-compressed tar archive", id="text"),
        pytest.param(archive(entry="x" * 100)[:-30], "is not a gzip-compressed tar archive", id="cut off"),
        pytest.param(archive(train="x"), "there is no entry.py at its top level", id="without entry.py"),
        pytest.param(archive(entry="def f(:"), "entry.py, line 1 does not compile with Python", id="no Python"),
        pytest.param(archive(entry="", other="1 +"), "other.py, line 1 does not compile", id="no Python elsewhere"),
        pytest.param(linked(), "entry.py in it is a link or a device", id="a link"),
    ],
)
def test_a_bad_archive_leaves_the_pipeline_as_it_is_and_is_told(world: UploadWorld, content: bytes, what: str) -> None:
    place = put(world, archive(entry="good"))
    world.settle()
    put(world, content)
    world.settle()
    assert code_in_force(world) == place
    assert what in world.document(REFUSAL)["error"]
    assert world.cloud.notices[-1]["kind"] == "definition-refused"
    put(world, archive(entry="better"))
    world.settle()
    assert REFUSAL not in world.cloud.keys(BUCKET)


def test_an_archive_that_is_too_large_is_not_read(world: UploadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("start_pipeline.definition.code.MAX_BYTES", 10)
    put(world, archive(entry="x"))
    world.settle()
    assert "an archive of code 10 at most" in world.document(REFUSAL)["error"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["GetObject", "PutObject", "HeadObject", "CreatePipeline"])
def test_of_two_archives_at_once_the_later_one_decides(world: UploadWorld, operation: str, moment: str) -> None:
    """Another worker publishes the later one in the middle of the earlier one's publication, whenever that is."""
    calls = itertools.count()
    later = archive(entry="later")

    def overtake(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == (moment, operation) and next(calls) == 0:
            put(world, later)
            assert world.deliver(world.cloud.queue[-1])

    put(world, archive(entry="earlier"))
    world.cloud.interrupt = overtake
    world.settle()
    assert next(calls) > 0
    assert code_in_force(world) == f"code/{hashlib.sha256(later).hexdigest()}/source.tar.gz"
