"""Connections: how many there may be, and how long one may wait before it has asked for anything.

When there are as many as allowed, the oldest one that has not asked yet makes room, so that somebody who opens
connections and says nothing does not keep others out.
"""

import resource
import socket
from contextlib import suppress
from typing import Any

from hypercorn.asyncio import run
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets
from hypercorn.events import Event, RawData, Updated

MAX_CONNECTIONS = 1000
BACKLOG = 512  # connections that wait to be accepted
_FILES = 4096  # open files that the server needs beside its connections, at most
_SILENT_SECONDS = 20.0
_AT_ONCE = 16 * 1024  # bytes of an answer that wait for the rest of it; one record of TLS


class Listener(socket.socket):
    """Accepts at most ``most`` connections at a time."""

    def __init__(self, host: str, port: int, *, most: int = MAX_CONNECTIONS) -> None:
        # asyncio sets TCP_NODELAY only on sockets that say their protocol: answers took 40 ms more without.
        super().__init__(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.bind((host, port))
        self.setblocking(False)
        self._most = most
        self._open: dict[int, _Connection] = {}
        self._silent: dict[int, _Connection] = {}  # oldest first

    def accept(self) -> tuple[socket.socket, Any]:
        accepted, address = super().accept()
        if len(self._open) >= self._most:
            if not self._silent:
                accepted.close()
                raise BlockingIOError("every connection is in use")
            oldest = self._silent.pop(next(iter(self._silent)))
            oldest.give_up()
        connection = _Connection(self, accepted)
        self._open[connection.fileno()] = self._silent[connection.fileno()] = connection
        return connection, address

    def has_asked(self, descriptor: int) -> None:
        self._silent.pop(descriptor, None)

    def forget(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        self._silent.pop(descriptor, None)


class _Connection(socket.socket):
    def __init__(self, listener: Listener, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._listener = listener

    def give_up(self) -> None:
        """The event loop sees the end of the stream, and closes it."""
        with suppress(OSError):  # it has ended itself
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.forget(self.fileno())
        super().close()


def listen(config: Config, host: str, port: int) -> Sockets:
    """The listening socket, and the limits in hypercorn's configuration that belong to it."""
    config.ssl_handshake_timeout = _SILENT_SECONDS
    config.keep_alive_timeout = _SILENT_SECONDS
    config.backlog = BACKLOG
    config.alpn_protocols = ["http/1.1"]  # no client of AWS's speaks HTTP/2 to these services
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))
    listener = Listener(host, port, most=min(MAX_CONNECTIONS, min(_FILES, hard) // 2))

    class Server(TCPServer):
        """A connection that notifies the listener of its first request, and sends a small answer at once.

        hypercorn writes the head of an answer, its body and its end one after the other; each write of TLS was a
        separate packet, and a fifth of what the server did for a small object.
        """

        held = b""

        async def protocol_send(self, event: Event) -> None:
            if isinstance(event, RawData) and len(self.held) + len(event.data) <= _AT_ONCE:
                if not self.held and event.data:
                    self.loop.call_soon(self.flush)
                self.held += event.data
                return
            if isinstance(event, Updated) and not event.idle:
                listener.has_asked(self.writer.get_extra_info("socket").fileno())
            self.flush()
            await super().protocol_send(event)

        def flush(self) -> None:
            """Sends what is held; without effect on a connection that has ended."""
            held, self.held = self.held, b""
            if held:
                with suppress(ConnectionError, RuntimeError):
                    self.writer.write(held)

    run.TCPServer = Server  # type: ignore[attr-defined]
    return Sockets(secure_sockets=[listener], insecure_sockets=[], quic_sockets=[])
