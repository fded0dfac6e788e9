"""Keeps a job's checkpoint folder and its S3 prefix alike, as SageMaker does.

Files come back when an instance starts; while the job runs, what it wrote is uploaded and what it deleted is deleted.
"""

from pathlib import Path
from typing import Any

from local_cloud.sagemaker.containers import transfer
from local_cloud.sagemaker.containers.folder import UnsafePath
from local_cloud.sagemaker.containers.opt_ml import local_folder

DEFAULT_PATH = "/opt/ml/checkpoints"


class Checkpoints:
    def __init__(self, s3: Any, config: dict[str, str], root: Path) -> None:
        self._s3 = s3
        self._uri = config["S3Uri"].rstrip("/")
        self._folder = local_folder(root, config.get("LocalPath", DEFAULT_PATH))
        self._seen: dict[str, tuple[int, int]] = {}

    def restore(self) -> None:
        """Fetches what an earlier instance left; a lost instance's own files are not there."""
        self._folder.clear()
        transfer.download_prefix(self._s3, f"{self._uri}/", self._folder)
        self._seen = self._now()

    def save(self) -> None:
        now = self._now()
        for name, state in list(now.items()):
            if self._seen.get(name) == state:
                continue
            try:
                # Read whole: the job may be writing it, and what is sent must be as long as was announced.
                with self._folder.open(name) as file:
                    content = file.read()
                transfer.upload(self._s3, content, f"{self._uri}/{name}")
            except (FileNotFoundError, UnsafePath):  # the job has deleted it since, or put something else there
                del now[name]
        for name in set(self._seen) - set(now):
            transfer.delete_object(self._s3, f"{self._uri}/{name}")
        self._seen = now

    def _now(self) -> dict[str, tuple[int, int]]:
        """Size and time of each regular file; links are left out."""
        return {entry.name: (entry.size, entry.changed) for entry in self._folder.files() if entry.link is None}
