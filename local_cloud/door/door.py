"""The ASGI application in front of ministack's.

A request passes if this machine is its host, no page of another origin sent it, its path is one that is served, and
its signature is that of a known key; then ministack's application asks what the key's holder may do. Nothing else
passes but the answer of a custom resource's function, which holds a random token in its path.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from local_cloud.door import body, refusals, served, signature
from local_cloud.door.body import Incoming, Message, Receive
from local_cloud.door.refusals import Answer, Refused
from local_cloud.door.signature import FindKey, Request

log = logging.getLogger(__name__)

Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_MAX_RESPONSE = 2**16  # bytes of a custom resource's answer; CloudFormation takes 4,096
_ITS_OWN_PAGES = ("same-origin", "none")  # Sec-Fetch-Site; "none" is an address that somebody typed


class Door:
    def __init__(self, application: Application, find_key: FindKey, expects_response: Callable[[str], bool]) -> None:
        self._application = application
        self._find_key = find_key
        self._expects_response = expects_response
        """Whether a custom resource waits for the answer that has this token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
        elif scope["type"] == "http":
            incoming = Incoming(receive)
            await self._enter(scope, incoming, _end_after(incoming, send))
        else:  # no service here has WebSockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _enter(self, scope: Scope, receive: Incoming, send: Send) -> None:
        request = Request.of(scope)
        service = ""
        try:
            stranger = _stranger(request, scope["scheme"])
            if stranger is not None:
                await _answer(stranger, request, send, closing=True)
            elif scope["path"].startswith("/_"):
                await self._unsigned(scope, request, receive, send)
            else:
                found = signature.claim(request)
                service = found.service
                await self._signed(scope, request, found, receive, send)
        except Refused as refused:
            log.info("refused: %s %s: %s", request.method, request.raw_path, refused)
            await _answer(refusals.answer(refused, request.headers, service), request, send, closing=True)
        except body.Disconnected:
            pass

    async def _unsigned(self, scope: Scope, request: Request, receive: Incoming, send: Send) -> None:
        """ministack's own paths, which it serves to everybody."""
        path, method = scope["path"], scope["method"]
        if path == served.HEALTH and method in ("GET", "HEAD"):
            healthy = {"Content-Type": "application/json"}
            await _answer(Answer(200, healthy, json.dumps({"status": "running"}).encode()), request, send)
            return
        token = path.removeprefix(served.CFN_RESPONSE)
        if method == "PUT" and token != path and self._expects_response(token):
            body.announced(request.headers, _MAX_RESPONSE)
            with await body.read(receive, _MAX_RESPONSE) as response:
                await self._application(scope, response.receive(receive), send)
            return
        await _answer(refusals.plain(404, "not served"), request, send, closing=True)

    async def _signed(
        self, scope: Scope, request: Request, found: signature.Claim, receive: Receive, send: Send
    ) -> None:
        service = served.service(found.service, scope["path"], request.headers.get("host", ""))
        signature.check_time(found)
        key = signature.find(found, self._find_key)
        body.announced(request.headers, service.largest_body)
        if found.service == "s3" and found.payload is not None:
            signature.verify(request, found, key, found.payload)
            await self._stream(scope, found.payload, service.largest_body, receive, send)
            return
        with await body.read(receive, service.largest_body) as content:
            signature.verify(request, found, key, content.sha256)
            if "gzip" in request.headers.get("content-encoding", "").lower():
                content.check_inflated(service.largest_body)
            await self._application(scope, content.receive(receive), send)

    async def _stream(self, scope: Scope, payload: str, limit: int, receive: Receive, send: Send) -> None:
        content = body.Streamed(receive, limit, payload if signature.is_hash(payload) else None)
        await self._application(scope, content.receive, send)
        if content.refused is not None:
            raise content.refused


def _stranger(request: Request, scheme: str) -> Answer | None:
    """The answer to a request that a page of another origin sent, or that came by a foreign name of this machine."""
    host = request.headers.get("host", "")
    if not served.is_own_host(host):
        return refusals.plain(421, "This is localhost, and no other host.")
    origin = request.headers.get("origin")
    if origin is not None and (urlsplit(origin).scheme, urlsplit(origin).netloc) != (scheme, host):
        return refusals.plain(403, "Pages of another origin have no access.")
    if request.headers.get("sec-fetch-site", "none") not in _ITS_OWN_PAGES:
        return refusals.plain(403, "Pages of another site have no access.")
    return None


def _end_after(incoming: Incoming, send: Send) -> Send:
    """Ends an answer after the body of its request, whether the door or the application answers.

    The connection closes at the end of an answer if the body has not been read. A client that is still sending would
    see that the connection was reset, and not the answer.
    """

    async def send_message(message: Message) -> None:
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not incoming.ended:
            await send({**message, "more_body": True})
            await body.drain(incoming)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return send_message


async def _answer(answer: Answer, request: Request, send: Send, *, closing: bool = False) -> None:
    headers = {
        **answer.headers,
        "Content-Length": str(len(answer.body)),
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        **({"Connection": "close"} if closing else {}),
    }
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": listed})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else answer.body})
