"""Keeps a job's checkpoint folder and its S3 prefix alike, as SageMaker does.

Files come back when an instance starts; while the job runs, what it wrote is uploaded and what it deleted is deleted.
"""

from pathlib import Path
from typing import Any

from local_cloud.sagemaker.jobs import transfer
from local_cloud.sagemaker.jobs.container_files import local_path

_DEFAULT_PATH = "/opt/ml/checkpoints"


class Checkpoints:
    def __init__(self, s3: Any, config: dict[str, str], root: Path) -> None:
        self._s3 = s3
        self._uri = config["S3Uri"].rstrip("/")
        self._folder = local_path(root, config.get("LocalPath", _DEFAULT_PATH))
        self._seen: dict[str, tuple[int, int]] = {}

    def restore(self) -> None:
        """Fetches what an earlier instance left; a lost instance's own files are not there."""
        if self._folder.exists():
            for file in sorted(self._folder.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
        self._folder.mkdir(parents=True, exist_ok=True)
        transfer.download_prefix(self._s3, f"{self._uri}/", self._folder)
        self._seen = self._now()

    def save(self) -> None:
        now = self._now()
        for name, state in list(now.items()):
            if self._seen.get(name) == state:
                continue
            try:
                # Read whole: the job may be writing it, and what is sent must be as long as was announced.
                content = (self._folder / name).read_bytes()
                transfer.upload(self._s3, content, f"{self._uri}/{name}")
            except FileNotFoundError:  # the job has deleted it since
                del now[name]
        for name in set(self._seen) - set(now):
            transfer.delete_object(self._s3, f"{self._uri}/{name}")
        self._seen = now

    def _now(self) -> dict[str, tuple[int, int]]:
        """Size and time of each file; one that vanishes while being looked at is not there."""
        found = {}
        for file in self._folder.rglob("*"):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            if file.is_file():
                found[file.relative_to(self._folder).as_posix()] = (status.st_size, status.st_mtime_ns)
        return found
