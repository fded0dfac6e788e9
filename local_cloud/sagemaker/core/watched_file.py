"""A TOML file of the state directory that people and tests write, change and delete while the local cloud runs."""

import logging
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from local_cloud.sagemaker.core.errors import ValidationException

log = logging.getLogger(__name__)

Content = TypeVar("Content")


class WatchedFile(Generic[Content]):
    """What `parse` makes of the file as it is now; without the file, of an empty document. Safe between threads.

    The content stays the same object until the file changes. Write the file whole (a draft that is renamed): half a
    file is malformed.
    """

    def __init__(self, file: Path, parse: Callable[[dict[str, Any]], Content]) -> None:
        """`parse` raises ValueError for a document that is wrong; it must take an empty one."""
        self.file, self._parse = file, parse
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None  # of the file that was read last
        self._content: Content = parse({})
        self._problem: str | None = None

    def read(self) -> Content:
        """Raises ValidationException as long as the file is malformed."""
        with self._lock:
            self._read_when_changed()
            if self._problem is not None:
                raise ValidationException(self._problem)
            return self._content

    def _read_when_changed(self) -> None:
        try:
            found = self.file.stat()
        except FileNotFoundError:
            if self._version is not None:
                self._version, self._content, self._problem = None, self._parse({}), None
            return
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if version == self._version:
            return
        self._version, self._problem = version, None
        try:
            self._content = self._parse(tomllib.loads(self.file.read_text()))
        except (OSError, ValueError) as error:
            self._problem = f"{self.file}: {error}\nhint: fix it, or delete it"
            log.error(self._problem)
        else:
            log.warning("%s is in force", self.file)
