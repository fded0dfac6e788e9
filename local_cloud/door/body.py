"""Bodies: read with a limit in size and in time, and hashed on their way."""

import asyncio
import hashlib
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import IO, Any

from local_cloud.door.refusals import Reason, Refused

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

_IN_MEMORY = 2**20  # bytes; what is larger waits on the disk until its signature is verified
_CHUNK = 2**16
_UNVERIFIED_SECONDS = 60.0  # for the whole of a body whose sender is not known yet
_LINGERING_SECONDS = 30.0  # nginx's lingering_time
_LINGERING_IDLE_SECONDS = 5.0  # nginx's lingering_timeout
_IDLE_SECONDS = 60.0  # between two pieces of a body whose sender is known


class Disconnected(Exception):
    """The client has gone."""


class Incoming:
    """What a client sends, and whether all of it has come: waiting for more would be waiting for the client to go."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message


class Body:
    """A whole body, with its hash."""

    def __init__(self, file: IO[bytes], size: int, sha256: str) -> None:
        self._file, self.size, self.sha256 = file, size, sha256

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *parts: object) -> None:
        self._file.close()

    def receive(self, rest: Receive) -> Receive:
        """What the application reads it by; after its end, `rest` says when the client goes."""
        self._file.seek(0)
        left = self.size

        async def receive() -> Message:
            nonlocal left
            if left < 0:
                return await rest()
            piece = self._file.read(_CHUNK)
            left -= len(piece)
            if left == 0 or not piece:
                left = -1
                return {"type": "http.request", "body": piece, "more_body": False}
            return {"type": "http.request", "body": piece, "more_body": True}

        return receive

    def check_inflated(self, limit: int) -> None:
        """Raises Refused if the body is gzip and inflates to more than the limit."""
        self._file.seek(0)
        inflating, total = zlib.decompressobj(wbits=31), 0
        with suppress(zlib.error):  # ministack leaves it as it is then, and the service says what is wrong
            while piece := inflating.unconsumed_tail or self._file.read(_CHUNK):
                total += len(inflating.decompress(piece, _CHUNK))
                if total > limit:
                    raise Refused(Reason.TOO_LARGE, f"The body inflates to more than {limit:,} bytes.")
                if inflating.eof:
                    rest = inflating.unused_data
                    inflating = zlib.decompressobj(wbits=31)  # a second member
                    if rest:
                        total += len(inflating.decompress(rest, _CHUNK))


def announced(headers: dict[str, str], limit: int) -> None:
    """Raises Refused for a body that says itself that it is too large."""
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and int(length) > limit:
        raise Refused(Reason.TOO_LARGE, f"The body has {int(length):,} bytes, and {limit:,} are allowed here.")


async def read(receive: Receive, limit: int) -> Body:
    """Reads a body whose sender is not verified. Raises Refused and Disconnected."""
    digest, size = hashlib.sha256(), 0
    # `Body` closes it.
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
    try:
        async with asyncio.timeout(_UNVERIFIED_SECONDS):
            async for piece in _pieces(receive):
                size += len(piece)
                if size > limit:
                    raise Refused(Reason.TOO_LARGE, f"The body has more than the {limit:,} bytes allowed here.")
                digest.update(piece)
                file.write(piece)
    except TimeoutError:
        file.close()
        raise Refused(Reason.TOO_SLOW, f"The body did not arrive within {_UNVERIFIED_SECONDS:.0f} s.") from None
    except BaseException:
        file.close()
        raise
    return Body(file, size, digest.hexdigest())


class Streamed:
    """A body whose sender is verified, on its way to the application."""

    def __init__(self, receive: Receive, limit: int, sha256: str | None) -> None:
        self._receive, self._limit, self._expected = receive, limit, sha256
        self._size, self._digest, self._ended = 0, hashlib.sha256(), False
        self.refused: Refused | None = None

    async def receive(self) -> Message:
        """For a body that is not what was signed, the client has gone as far as the application is concerned."""
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout(_IDLE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(Reason.TOO_SLOW, f"Nothing of the body arrived for {_IDLE_SECONDS:.0f} s.")
        if message["type"] != "http.request":
            return message
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            return self._refuse(Reason.TOO_LARGE, f"The body has more than the {self._limit:,} bytes allowed here.")
        if self._expected is not None:
            self._digest.update(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._ended and self._expected not in (None, self._digest.hexdigest()):
            return self._refuse(Reason.OTHER_BODY, "The body is not the one whose SHA-256 was signed.")
        return message

    def _refuse(self, reason: Reason, message: str) -> Message:
        self.refused = Refused(reason, message)
        return {"type": "http.disconnect"}


async def drain(incoming: Incoming) -> None:
    """Takes what is left of a body that nobody reads, and forgets it; gives up after nginx's two limits."""
    if incoming.ended:
        return
    with suppress(TimeoutError, Disconnected):
        async with asyncio.timeout(_LINGERING_SECONDS):
            pieces = _pieces(incoming)
            while True:
                async with asyncio.timeout(_LINGERING_IDLE_SECONDS):
                    if await anext(pieces, None) is None:
                        return


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return
