"""What a job does to its checkpoint folder happens to its S3 prefix."""

from pathlib import Path
from typing import Any

from local_cloud.sagemaker.jobs.training.checkpoints import Checkpoints


class FakeS3:
    """Holds objects; ``on_put`` is called before each is stored."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.on_put = lambda key: None

    def put_object(self, *, Bucket: str, Key: str, Body: Any) -> None:
        announced = len(Body) if isinstance(Body, bytes) else Path(Body.name).stat().st_size
        self.on_put(Key)
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()
        assert len(self.objects[Key]) == announced, "not the number of bytes specified by Content-Length"

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        del self.objects[Key]


def checkpoints(s3: FakeS3, root: Path) -> tuple[Checkpoints, Path]:
    folder = root / "checkpoints"
    folder.mkdir()
    return Checkpoints(s3, {"S3Uri": "s3://bucket/lane/"}, root), folder


def test_what_is_written_is_uploaded_and_what_is_deleted_is_deleted(tmp_path: Path) -> None:
    s3 = FakeS3()
    kept, folder = checkpoints(s3, tmp_path)
    (folder / "1").write_text("one")
    kept.save()
    (folder / "2").write_text("two")
    (folder / "1").unlink()
    kept.save()
    assert s3.objects == {"lane/2": b"two"}


def test_an_unchanged_file_is_uploaded_once(tmp_path: Path) -> None:
    s3, uploads = FakeS3(), []
    s3.on_put = uploads.append
    kept, folder = checkpoints(s3, tmp_path)
    (folder / "1").write_text("one")
    kept.save()
    kept.save()
    assert uploads == ["lane/1"]


def test_a_file_that_vanishes_meanwhile_does_no_harm(tmp_path: Path) -> None:
    s3 = FakeS3()
    kept, folder = checkpoints(s3, tmp_path)
    (folder / "1").write_text("one")
    (folder / "2").write_text("two")

    def the_job_deletes_the_other(key: str) -> None:
        (folder / ({"lane/1": "2", "lane/2": "1"}[key])).unlink(missing_ok=True)

    s3.on_put = the_job_deletes_the_other
    kept.save()
    assert len(s3.objects) == 1
    kept.save()
    assert len(s3.objects) == 1


def test_a_file_that_is_still_being_written_is_sent_as_it_was_read(tmp_path: Path) -> None:
    s3 = FakeS3()
    kept, folder = checkpoints(s3, tmp_path)
    (folder / "1").write_text("half")
    s3.on_put = lambda key: (folder / "1").write_text("half and the other half")
    kept.save()
    assert s3.objects == {"lane/1": b"half"}
    s3.on_put = lambda key: None
    kept.save()
    assert s3.objects == {"lane/1": b"half and the other half"}
