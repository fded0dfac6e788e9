"""Bodies in the encoding ``aws-chunked``, decoded as they come.

Chunks of a size in hexadecimal, CRLF, the data, CRLF; a chunk of size 0, and then the trailers, with a checksum that
was computed on the way: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

import re
from collections.abc import Iterator

_CRLF = b"\r\n"
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_MAX_LINE = 16 * 1024  # bytes; of a chunk's head, which may hold a signature, or of the trailers


class Malformed(Exception):
    """The body is not of the form that its headers say."""


class Decoder:
    """Takes `headers` of the request, and adds the trailers to them at the end."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers
        self._waiting = b""  # of a line that is not complete
        self._left = 0  # bytes of the chunk, and of the CRLF behind it
        self._trailers = False

    @staticmethod
    def is_needed(headers: dict[str, str]) -> bool:
        return (
            headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
            or "aws-chunked" in headers.get("content-encoding", "")
            or "x-amz-decoded-content-length" in headers
        )

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data in the next piece of the body. Raises Malformed."""
        data, place = self._waiting + piece, 0
        self._waiting = b""
        while place < len(data) and not self._trailers:
            if self._left:
                taken = data[place : place + self._left]
                payload = max(0, self._left - len(_CRLF))
                yield taken[:payload]
                if not _CRLF[-self._left :].startswith(taken[payload:]):
                    raise Malformed("a chunk does not end where its head says")
                place += len(taken)
                self._left -= len(taken)
                continue
            end = data.find(_CRLF, place)
            if end < 0:
                break
            size = data[place:end].split(b";")[0].strip()
            if not _SIZE.fullmatch(size):
                raise Malformed("the size of a chunk is not a number")
            self._left = int(size, 16) + len(_CRLF)
            self._trailers = self._left == len(_CRLF)
            place = end + len(_CRLF)
        self._waiting = data[place:]
        if len(self._waiting) > _MAX_LINE:
            raise Malformed("the head of a chunk or the trailers do not end")

    def end(self, decoded: int) -> None:
        """After the last piece: `decoded` bytes of data came. Raises Malformed."""
        if not self._trailers:
            raise Malformed("the last chunk is missing")
        lines = self._waiting.decode("utf-8", "replace")
        if not lines.endswith("\r\n"):
            raise Malformed("the trailers are not complete")
        trailers = dict(_trailer(line) for line in lines.split("\r\n") if line)
        wanted = {name.strip().lower() for name in self._headers.get("x-amz-trailer", "").split(",") if name.strip()}
        if missing := sorted(wanted - set(trailers)):
            raise Malformed(f"the trailer {missing[0]} is missing")
        announced = self._headers.get("x-amz-decoded-content-length")
        if announced is not None and announced.strip() != str(decoded):
            raise Malformed(f"{decoded} bytes were decoded, and {announced} were announced")
        for name, value in trailers.items():
            self._headers.setdefault(name, value)
        encodings = [part.strip() for part in self._headers.get("content-encoding", "").split(",")]
        others = [part for part in encodings if part not in ("", "aws-chunked")]
        self._headers.pop("content-encoding", None)
        if others:
            self._headers["content-encoding"] = ", ".join(others)


def _trailer(line: str) -> tuple[str, str]:
    name, separator, value = line.partition(":")
    if not separator or not name.strip():
        raise Malformed("a trailer has no name")
    return name.strip().lower(), value.strip()
