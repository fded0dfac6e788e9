"""Channels in Pipe mode: named pipes, ``/opt/ml/input/data/<channel>_<epoch>``, one for each pass over the data.

As on AWS, the first has the number 0, and the next one is there before a pass ends. A pass is all objects of the
channel, one after the other, in the order of their keys; a program that reads no further just opens the next pipe.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable
from itertools import count

from local_cloud.sagemaker.containers.folder import Folder
from local_cloud.sagemaker.containers.transfer import TransferError

_POLL_SECONDS = 0.02
Content = Callable[[], Iterable[bytes]]


class Pipes:
    """The pipes of one stretch of a job; each channel has a thread that feeds them until `stop`."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._threads: list[threading.Thread] = []

    def add(self, folder: Folder, channel: str, content: Content) -> None:
        """Makes the first pipe of a channel below ``input/data``; `content` gives the data of one pass."""
        folder.make_pipe(f"{channel}_0")
        thread = threading.Thread(target=self._feed, args=(folder, channel, content), name=f"channel {channel}")
        thread.daemon = True
        thread.start()
        self._threads.append(thread)

    def check(self) -> None:
        """Raises TransferError once the data of a channel could not be read: what was written of it is not all."""
        if self._error is not None:
            raise TransferError(str(self._error)) from self._error

    def stop(self) -> None:
        """Call it when the processes have ended: what is written to a pipe of theirs then fails."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=5)  # a process that outlives its job, where there is no sandbox, may hold a pipe open

    def _feed(self, folder: Folder, channel: str, content: Content) -> None:
        try:
            for epoch in count():
                pipe = self._opened(folder, f"{channel}_{epoch}")
                if pipe is None:
                    return
                folder.make_pipe(f"{channel}_{epoch + 1}")
                try:
                    for chunk in content():
                        _write(pipe, chunk)
                except BrokenPipeError:
                    pass  # the program has read enough of this pass
                finally:
                    os.close(pipe)
        except Exception as error:  # the boundary of the thread: `check` raises it in the job's
            self._error = error

    def _opened(self, folder: Folder, name: str) -> int | None:
        """The pipe, once a program reads it; None when the job has ended."""
        while not self._stopped.wait(_POLL_SECONDS):
            try:
                pipe = folder.open_pipe(name)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads it yet
                    raise
            else:
                os.set_blocking(pipe, True)
                return pipe
        return None


def _write(pipe: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(pipe, rest) :]
