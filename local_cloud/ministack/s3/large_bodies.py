"""Bodies of S3 objects on the disk instead of in the server's memory: as they come in, as they lie there, and as they
go out.

ministack holds each of them in memory: the chunks and their join, the parts of an upload and their join, and every
version that was written since its start. An upload of 0.9 GB took 2.4 GB of the server's memory.
"""

import base64
import inspect
import os
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.services import s3

from local_cloud.ministack.s3 import content
from local_cloud.ministack.s3.aws_chunked import Decoder, Malformed
from local_cloud.ministack.s3.content import IN_MEMORY, Content, Draft

Message = dict[str, Any]
_OBJECT_QUERY = {"partNumber", "uploadId", "x-id", "AWSAccessKeyId", "Signature", "Expires"}


class Lost(Content):
    """A body that the disk did not take."""

    def __init__(self, error: OSError) -> None:
        super().__init__(Path(os.devnull), None, 0, 0)
        self.error = error


def install() -> None:
    app._read_request_body = _onto_the_disk(app._read_request_body)
    s3.handle_request = _refusing_what_was_lost(s3.handle_request)
    app._send_response = _in_pieces(app._send_response)
    s3.md5_hash = _of_content(s3.md5_hash, lambda body: content.md5(body).hex())
    s3._compute_s3_checksum = _checksum(s3._compute_s3_checksum)
    s3._validate_content_md5 = _content_md5(s3._validate_content_md5)
    s3._complete_multipart_upload = _joined_on_the_disk(s3._complete_multipart_upload)
    s3._atomic_write = _linked(s3._atomic_write)
    s3._persist_object = _out_of_memory(s3._persist_object)
    s3._read_body = _unread(s3._read_body, s3._object_disk_path)
    s3._version_body = _version_unread(s3._version_body)
    s3._get_object_data = _loaded(s3._get_object_data)


def _onto_the_disk(original: Callable[..., Awaitable[bytes]]) -> Callable[..., Awaitable[bytes | Content]]:
    """What PutObject and UploadPart send, decoded on its way."""

    async def read(receive: Callable[[], Awaitable[Message]], method: str, headers: dict[str, str]) -> bytes | Content:
        if not _is_object(method, headers):
            return await original(receive, method, headers)
        first: list[Message] = []
        while sum(len(message.get("body", b"")) for message in first) <= IN_MEMORY:
            first.append(await receive())
            if first[-1]["type"] != "http.request" or not first[-1].get("more_body", False):
                break

        async def again() -> Message:
            return first.pop(0) if first else await receive()

        if first[-1]["type"] != "http.request" or not first[-1].get("more_body", False):
            return await original(again, method, headers)
        try:
            return await _receive(again, headers)
        except Malformed as error:
            raise app._IncompleteRequestBody(str(error)) from error
        except OSError as error:
            return Lost(error)

    return read


async def _receive(receive: Callable[[], Awaitable[Message]], headers: dict[str, str]) -> Content:
    """Raises Malformed for a body that is not as long, or not of the form, that its headers say."""
    decoder = Decoder(headers) if Decoder.is_needed(headers) else None
    size = 0
    with Draft() as draft:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise app._RequestBodyDisconnected
            piece = message.get("body", b"")
            size += len(piece)
            for decoded in decoder.feed(piece) if decoder else (piece,):
                draft.write(decoded)
            if not message.get("more_body", False):
                break
        announced = headers.get("content-length")
        if announced is not None and announced.strip() != str(size):
            raise Malformed(f"{size} bytes came, and {announced} were announced")
        if decoder:
            decoder.end(draft.size)
        return draft.content()


def _refusing_what_was_lost(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """After permission was asked. S3's clients try again after this answer."""

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: Any, *arguments: Any, **named: Any
    ) -> Any:
        if isinstance(body, Lost):
            message = f"The local cloud could not keep {path}: {body.error.strerror}. hint: make room"
            return s3._error("InternalError", f"{message}; df -h {s3.DATA_DIR}", 500)
        return await original(method, path, headers, body, *arguments, **named)

    return handle_request


def _is_object(method: str, headers: dict[str, str]) -> bool:
    """Whether the body is that of an object or of a part, and not a document that ministack reads."""
    request = iam_evaluator._signed_request.get()
    if method != "PUT" or request is None:
        return False
    query = request.query_params
    more = {name for name in query if not name.lower().startswith("x-amz-")} - _OBJECT_QUERY
    scopes = [headers.get("authorization", ""), *query.get("X-Amz-Credential", [])]
    return not more and ("AWSAccessKeyId" in query or any("/s3/aws4_request" in scope for scope in scopes))


def _in_pieces(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def send_response(
        send: Callable[[Message], Awaitable[None]], status: int, headers: dict[str, Any], body: Any, **named: Any
    ) -> None:
        if not isinstance(body, Content):
            await original(send, status, headers, body, **named)
            return
        headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        headers["Content-Length"] = str(len(body))
        await send({"type": "http.response.start", "status": status, "headers": app._asgi_header_list(headers)})
        for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_response


def _of_content(original: Callable[..., Any], instead: Callable[[Content], Any]) -> Callable[..., Any]:
    def function(body: Any) -> Any:
        return instead(body) if isinstance(body, Content) else original(body)

    return function


def _checksum(original: Callable[..., str | None]) -> Callable[..., str | None]:
    def compute(algorithm: str, body: bytes | Content) -> str | None:
        return content.checksum(algorithm, body) if isinstance(body, Content) else original(algorithm, body)

    return compute


def _content_md5(original: Callable[..., Any]) -> Callable[..., Any]:
    def validate(headers: dict[str, str], body: bytes | Content) -> Any:
        wanted = headers.get("content-md5", "")
        if not wanted or not isinstance(body, Content):
            return original(headers, body) if isinstance(body, bytes) else None
        if wanted == base64.b64encode(content.md5(body)).decode():
            return None
        return original(headers, b"")  # says what is wrong with it: no other body has this MD5

    return validate


def _joined_on_the_disk(original: Callable[..., Any]) -> Callable[..., Any]:
    """CompleteMultipartUpload with two expressions replaced; the ETag of a part is the MD5 of its content."""
    source = textwrap.dedent(inspect.getsource(original))
    for place, instead in (
        ('hashlib.md5(stored["body"]).digest()', 'bytes.fromhex(stored["etag"].strip(chr(34)))'),
        ('b"".join(combined_parts)', "_headrace_joined(combined_parts)"),
    ):
        assert source.count(place) == 1, "ministack's CompleteMultipartUpload has changed"
        source = source.replace(place, instead)
    s3._headrace_joined = _join
    found: dict[str, Any] = {}
    exec(compile(source, s3.__file__, "exec"), s3.__dict__, found)
    completed: Callable[..., Any] = found[original.__name__]
    return completed


def _join(parts: list[bytes | Content]) -> bytes | Content:
    if sum(map(len, parts)) > IN_MEMORY:
        return content.joined(parts)
    return b"".join(content.loaded(part) or b"" for part in parts)


def _linked(original: Callable[..., None]) -> Callable[..., None]:
    def atomic_write(path: str, data: Any, **named: Any) -> None:
        if not isinstance(data, Content):
            original(path, data, **named)
            return
        draft = Path(f"{path}.tmp")
        try:
            content.keep(data, draft)
            os.replace(draft, path)
            draft.unlink(missing_ok=True)  # of two links to one file, replacing one by the other does nothing
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    return atomic_write


def _out_of_memory(original: Callable[..., None]) -> Callable[..., None]:
    """ministack keeps what it wrote since its start in the index of versions as well."""

    def persist(bucket: str, key: str, record: Any) -> None:
        original(bucket, key, record)
        if isinstance(record, dict) and record.get("body") is None:
            for entry in s3._object_versions.get((bucket, key), []):
                if entry["version_id"] == (record.get("version_id") or "null"):
                    entry["data"] = None

    return persist


def _unread(original: Callable[..., bytes], path_of: Callable[[str, str], str]) -> Callable[..., bytes | Content]:
    def read_body(bucket: str, key: str, record: dict[str, Any]) -> bytes | Content:
        if record.get("body") is not None or record.get("size", 0) <= IN_MEMORY:
            return original(bucket, key, record)
        return Content.of(Path(path_of(bucket, key)))

    return read_body


def _version_unread(original: Callable[..., bytes | None]) -> Callable[..., bytes | Content | None]:
    def version_body(bucket: dict[str, Any], name: str, key: str, entry: dict[str, Any]) -> bytes | Content | None:
        version = entry["version_id"]
        displaced = entry.get("data") is None and s3._version_file_exists(name, key, version)
        if displaced and entry.get("size", 0) > IN_MEMORY:
            return Content.of(Path(s3._version_disk_path(name, key, version)))
        return original(bucket, name, key, entry)

    return version_body


def _loaded(original: Callable[..., bytes | Content | None]) -> Callable[..., bytes | None]:
    def get_object_data(*arguments: Any, **named: Any) -> bytes | None:
        return content.loaded(original(*arguments, **named))

    return get_object_data
