"""How far an upload is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from headrace.formats import size as worded

SECONDS_BETWEEN_LINES = 5.0


class UploadProgress:
    """Thread-safe upload progress, in bytes and files."""

    def __init__(self, console: Console, *, files: int, size: int) -> None:
        self.files = 0
        self._console = console
        self._total_files = files
        self._total_size = size
        self._bytes = 0
        self._began = self._last_line = time.monotonic()
        self._lock = threading.Lock()
        self._bar = self._new_bar() if console.is_terminal else None
        self._task = self._bar.add_task("", total=size, files="") if self._bar else None

    def sent(self, count: int) -> None:
        with self._lock:
            self._bytes += count
            self._show()

    def done(self) -> None:
        with self._lock:
            self.files += 1
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=self._bytes, files=f"{self.files:,}/{self._total_files:,} files")
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(
                f"{self.files:,} of {self._total_files:,} files, {worded(self._bytes)} of {worded(self._total_size)}, "
                f"{worded(self._bytes / (now - self._began))}/s",
                soft_wrap=True,
            )

    def __enter__(self) -> UploadProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def _new_bar(self) -> Progress:
        return Progress(
            TextColumn("uploading"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[files]}"),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
