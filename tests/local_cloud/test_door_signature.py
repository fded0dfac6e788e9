"""The front door alone, before an application that only records what reaches it: tokens, bodies, headers, times."""

import asyncio
import datetime
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_cloud.door import Door, Key, body

ACCOUNT = "000000000000"
KEYS = {
    ACCOUNT: Key("secret"),
    "ASIAGOOD": Key("secret", "token", time.time() + 3600),
    "ASIAOLD": Key("secret", "token", time.time() - 1),
}


@dataclass
class Application:
    """Reads the body of what reaches it."""

    reached: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        content = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            content += message["body"]
            if not message["more_body"]:
                break
        self.reached.append(content)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@pytest.fixture
def application() -> Application:
    return Application()


def request(
    service: str, method: str = "POST", path: str = "/", content: bytes = b"{}", **headers: str
) -> tuple[AWSRequest, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return AWSRequest(method, f"https://localhost{path}", {"Host": "localhost", **named}, content), content


def sign(made: AWSRequest, service: str, key: str = ACCOUNT, secret: str = "secret", token: str | None = None) -> None:
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(key, secret, token), service, "us-east-1").add_auth(made)


def pass_through(application: Application, made: AWSRequest, content: bytes, pieces: int = 1) -> tuple[int, str]:
    """The status and the body of the answer."""
    size = max(1, -(-len(content) // pieces))
    waiting = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
    scope = scope_of(made)
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    asyncio.run(Door(application, KEYS.get, lambda token: token == "expected")(scope, receive, send))
    return answers[0]["status"], answers[1]["body"].decode()


def scope_of(made: AWSRequest) -> dict[str, Any]:
    url = urlsplit(made.url)
    headers = [(name.lower().encode(), str(_text(value)).encode()) for name, value in made.headers.items()]
    return {
        "type": "http", "method": made.method, "path": url.path, "raw_path": url.path.encode(), "scheme": "https",
        "query_string": url.query.encode(), "headers": headers,
    }  # fmt: skip


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("service", ["sqs", "s3"])
def test_a_signed_request_reaches_the_application_with_its_body(application: Application, service: str) -> None:
    path = "/bucket/key" if service == "s3" else "/"
    made, content = request(service, "PUT", path, b"x" * 300_000)
    sign(made, service)
    assert pass_through(application, made, content, pieces=7) == (200, "done")
    assert application.reached == [content]


@pytest.mark.parametrize(
    ("key", "token", "code"),
    [
        ("ASIAOLD", "token", "ExpiredToken"),
        ("ASIAGOOD", "another", "UnrecognizedClient"),
        ("ASIAGOOD", None, "UnrecognizedClient"),
        (ACCOUNT, "token", "UnrecognizedClient"),
        ("AKIAUNKNOWN", None, "UnrecognizedClient"),
        ("", None, "UnrecognizedClient"),
    ],
)
def test_an_expired_session_and_a_wrong_token_are_refused(
    application: Application, key: str, token: str | None, code: str
) -> None:
    made, content = request("sqs", X_Amz_Target="AmazonSQS.ListQueues")
    sign(made, "sqs", key, token=token)
    status, text = pass_through(application, made, content)
    assert status in (400, 403)
    assert code in text
    assert application.reached == []


@pytest.mark.parametrize("service", ["sqs", "s3"])
def test_another_body_than_the_signed_one_does_not_reach_the_application(
    application: Application, service: str
) -> None:
    """Though its hash is in a signed header, which for other services than S3 nobody needs to send."""
    path = "/bucket/key" if service == "s3" else "/"
    signed = hashlib.sha256(b"signed").hexdigest()
    made, _ = request(service, "PUT", path, b"signed", X_Amz_Content_SHA256=signed)
    sign(made, service)
    status, text = pass_through(application, made, b"another")
    assert status in (400, 403)
    assert "done" not in text
    assert application.reached == []


def test_a_header_that_decides_the_operation_has_to_be_signed(application: Application) -> None:
    made, content = request("sqs")
    sign(made, "sqs")
    made.headers["X-Amz-Target"] = "AmazonSQS.DeleteQueue"
    status, text = pass_through(application, made, content)
    assert (status, application.reached) == (403, [])
    assert "x-amz-target" in text


@pytest.mark.parametrize(
    "change", [{"path": "/other/key"}, {"query": "?acl"}, {"method": "DELETE"}, {"host": "x.localhost"}]
)
def test_a_signature_is_of_one_request_alone(application: Application, change: dict[str, str]) -> None:
    made, content = request("s3", "PUT", "/bucket/key", b"x")
    sign(made, "s3")
    made.url = f"https://localhost{change.get('path', '/bucket/key')}{change.get('query', '')}"
    made.method = change.get("method", "PUT")
    if "host" in change:
        del made.headers["Host"]
        made.headers["Host"] = change["host"]
    assert pass_through(application, made, content)[0] == 403
    assert application.reached == []


@pytest.mark.parametrize(("minutes", "status"), [(0, 200), (-14, 200), (-16, 403), (14, 200), (16, 403)])
def test_a_request_is_good_for_15_minutes(application: Application, minutes: int, status: int) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    made, content = request("sqs")
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=then.replace(tzinfo=None)):
        sign(made, "sqs")
    assert pass_through(application, made, content)[0] == status


@pytest.mark.parametrize(
    ("expires", "minutes", "status"), [(60, 0, 200), (60, -2, 403), (3600, -30, 200), (700_000, 0, 400)]
)
def test_a_presigned_url_is_good_until_it_expires(
    application: Application, expires: int, minutes: int, status: int
) -> None:
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    made, content = request("s3", "GET", "/bucket/key", b"")
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=then.replace(tzinfo=None)):
        S3SigV4QueryAuth(Credentials(ACCOUNT, "secret"), "s3", "us-east-1", expires=expires).add_auth(made)
    assert pass_through(application, made, content)[0] == status


def test_only_what_is_served_is_passed_on(application: Application) -> None:
    for service, path in (
        ("rds", "/"), ("cognito-idp", "/"), ("s3", "/iceberg/v1/config"), ("sqs", "/2015-03-31/functions"),
        ("lambda", "/"), ("s3", "//bucket"), ("sagemaker", "/endpoints/a/b/c"),
    ):  # fmt: skip
        made, content = request(service, "GET", path, b"")
        sign(made, service)
        assert pass_through(application, made, content)[0] == 404, (service, path)
    assert application.reached == []


def test_an_announced_or_sent_body_above_the_limit_is_refused(application: Application) -> None:
    made, content = request("sqs", content=b"x" * (9 * 2**20))
    sign(made, "sqs")
    assert pass_through(application, made, content, pieces=200)[0] == 413
    made.headers["Content-Length"] = str(len(content))
    assert pass_through(application, made, content, pieces=200)[0] == 413
    assert application.reached == []


def test_a_body_that_does_not_arrive_is_not_waited_for(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_UNVERIFIED_SECONDS", 0.05)

    async def never() -> dict[str, Any]:
        await asyncio.sleep(30)
        raise AssertionError

    with pytest.raises(body.Refused, match="did not arrive"):
        asyncio.run(body.read(never, 100))


def test_only_the_expected_token_opens_the_way_of_custom_resources(application: Application) -> None:
    for token, status in (("expected", 200), ("another", 404), ("expected/x", 404)):
        made, content = request("", "PUT", f"/_ministack/cfn-response/{token}")
        assert pass_through(application, made, content)[0] == status
    assert application.reached == [b"{}"]


def test_a_refusal_does_not_wait_for_the_client_to_go(application: Application) -> None:
    """A refusal took 1 s for a request whose body had been read for its hash."""
    made, content = request("sqs")
    sign(made, "sqs", secret="wrong")
    asked = []

    async def receive() -> dict[str, Any]:
        asked.append(1)
        assert len(asked) == 1
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    scope = scope_of(made)
    asyncio.run(Door(application, KEYS.get, lambda token: False)(scope, receive, send))
    assert asked == [1]
