"""HTTP to a model's server by its Unix socket, which lies in a folder that the local cloud's user alone can enter.

A port would be open to every user of the machine and, by a name that leads to 127.0.0.1, to the pages in its browsers.
"""

import http.client
import os
import socket
import struct
import tempfile
from pathlib import Path

SOCKET = "server.sock"
_FOLDERS = Path("/proc/self/fd")


class ModelConnection(http.client.HTTPConnection):
    def __init__(self, file: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        # Without a timeout of Python's, whose sockets do not wait for a place in the queue of a busy server.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(self.timeout or 60), 0))
        try:
            self._connect()
        except OSError:
            self.close()
            raise
        self.sock.settimeout(self.timeout)

    def _connect(self) -> None:
        """The path of a socket has at most 107 bytes (103 on macOS), that of a state directory may have more."""
        if not _FOLDERS.is_dir():  # macOS
            with tempfile.TemporaryDirectory(prefix="headrace-", dir="/tmp") as directory:
                short = Path(directory, "s")
                short.symlink_to(self._file.parent)
                self.sock.connect(str(short / self._file.name))
            return
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sock.connect(str(_FOLDERS / str(folder) / self._file.name))
        finally:
            os.close(folder)
