"""Progress of an installation, read from what pip and npm say.

On a terminal it is one line that changes. Elsewhere, as in CI, a line is written every 15 s.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from types import TracebackType

EVERY = 15.0  # seconds between two lines where there is no terminal
_COLLECTING = re.compile(r"(?:Collecting|Processing (?:\S*/)?)\s*([\w.]+)")
_DOWNLOADING = re.compile(r"\s*Downloading (?:\S*/)?([^\s/]+\.whl)")
_BYTES = re.compile(r"Progress (\d+) of (\d+)")
_INSTALLING = re.compile(r"Installing collected packages: (.*)")
_FETCHED = re.compile(r"npm http fetch GET 200 \S+")


def megabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


class Progress:
    """Reads one program's output line by line, and says how far it is, also while the program is silent."""

    def __init__(self, what: str) -> None:
        self.packages = 0
        self._what, self._now = what, "starting"
        self._done, self._part = 0, 0  # bytes of finished downloads, and of the one that goes on
        self._terminal = sys.stdout.isatty()
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._terminal:
            print("\r\033[K", end="", flush=True)

    def read(self, line: str) -> bool:
        """Whether the line belongs in the log: a count of bytes does not."""
        if found := _BYTES.match(line):
            self._part = int(found[1])
            if found[1] == found[2]:
                self._done, self._part = self._done + self._part, 0
            return False
        if found := _COLLECTING.match(line):
            self.packages += 1
            self._now = found[1]
        elif found := _DOWNLOADING.match(line):
            self._now = f"fetching {found[1].split('-')[0]}"
        elif found := _INSTALLING.match(line):
            self._now = f"unpacking {len(found[1].split(','))} packages"
        elif _FETCHED.match(line):
            self.packages += 1
        return True

    @property
    def fetched(self) -> int:
        """Bytes that were downloaded; what comes from a cache is not among them."""
        return self._done + self._part

    def end(self, seconds: float, on_disk: int) -> None:
        parts = [f"{self.packages} packages" if self.packages > 1 else ""]
        parts += [f"{megabytes(self.fetched)} fetched" if self.fetched else ""]
        parts += [f"{megabytes(on_disk)} on disk" if on_disk else "", f"{seconds:.0f} s"]
        print(f"  {self._what}: {', '.join(part for part in parts if part)}", flush=True)

    def _tell(self) -> None:
        while not self._over.wait(0.5 if self._terminal else EVERY):
            parts = [f"{self.packages} packages" if self.packages > 1 else ""]
            parts += [f"{megabytes(self.fetched)} fetched" if self.fetched else "", self._now]
            parts += [f"{time.monotonic() - self._began:.0f} s"]
            line = f"  {self._what}: {', '.join(part for part in parts if part)}"
            print(f"\r\033[K{line[:110]}" if self._terminal else line, end="" if self._terminal else "\n", flush=True)
