"""Signature Version 4: what a request claims, and whether the claim is true.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Version 2 is accepted in the
query of S3's presigned URLs only, since boto3 still makes them so in us-east-1; version 4A is refused.
"""

import datetime
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from botocore.auth import HmacV1Auth
from botocore.awsrequest import HTTPHeaders
from botocore.credentials import Credentials

from local_cloud.door.refusals import Reason, Refused

UNSIGNED = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"
_SKEW = datetime.timedelta(minutes=15)
_MAX_URL_SECONDS = 7 * 24 * 3600  # seconds
_HASH = re.compile(r"[0-9a-f]{64}")
_UNSIGNED_HEADERS = {"x-amz-user-agent"}  # the JavaScript SDK's, which it does not always sign


@dataclass(frozen=True, slots=True)
class Key:
    """An access key that is known and active."""

    secret_key: str
    session_token: str | None = None
    expiration: float | None = None
    """In seconds since the epoch."""


FindKey = Callable[[str], Key | None]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    raw_path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    """By lower-case name; a repeated one with its values joined by a comma, as they are signed."""

    @classmethod
    def of(cls, scope: dict[str, Any]) -> "Request":
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), _text(value)
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
        return cls(scope["method"], raw_path.decode("latin-1"), query, headers)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the signature of a request says; nothing of it is true before `verify` has returned."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: str
    token: str
    expires: str | None
    """Of a presigned URL: seconds after `signed_at`, or with version 2 a time."""
    payload: str | None
    """Its SHA-256 or one of S3's words for it; None if the body has to be read for it."""
    version: int = 4


def claim(request: Request) -> Claim:
    """Reads the signature. Raises Refused if there is none or it is not complete."""
    authorization = request.headers.get("authorization", "")
    query = {name.lower(): values for name, values in request.query.items() if name.lower().startswith("x-amz-")}
    if authorization:
        if not authorization.startswith(f"{_ALGORITHM} ") or "x-amz-algorithm" in query:
            raise Refused(Reason.INCOMPLETE, f"Only signatures of {_ALGORITHM} are served, one in each request.")
        return _in_header(request, authorization)
    if query.get("x-amz-algorithm") == [_ALGORITHM]:
        return _in_query(request, query)
    if "AWSAccessKeyId" in request.query and "Signature" in request.query:
        return _of_version_2(request)
    raise Refused(
        Reason.NOT_SIGNED, "The request is not signed. hint: headrace env   # prints the keys to sign it with"
    )


def _in_header(request: Request, authorization: str) -> Claim:
    fields = dict(part.strip().partition("=")[::2] for part in authorization.partition(" ")[2].split(","))
    headers = request.headers
    payload = headers.get("x-amz-content-sha256")
    return _claim(
        fields.get("Credential", ""),
        signed_headers=fields.get("SignedHeaders", ""),
        signature=fields.get("Signature", ""),
        signed_at=headers.get("x-amz-date", ""),
        token=headers.get("x-amz-security-token", ""),
        payload=payload,
    )


def _in_query(request: Request, query: dict[str, list[str]]) -> Claim:
    def one(name: str) -> str:
        values = query.get(name, [""])
        if len(values) != 1:
            raise Refused(Reason.INCOMPLETE, f"The query has {len(values)} parameters {name}.")
        return values[0]

    found = _claim(
        one("x-amz-credential"),
        signed_headers=one("x-amz-signedheaders"),
        signature=one("x-amz-signature"),
        signed_at=one("x-amz-date"),
        token=one("x-amz-security-token"),
        expires=one("x-amz-expires"),
        payload=None,
    )
    if found.service != "s3":
        return found
    payload = one("x-amz-content-sha256") or request.headers.get("x-amz-content-sha256") or UNSIGNED
    return replace(found, payload=payload)


def _claim(credential: str, *, signed_headers: str, signature: str, signed_at: str, token: str,
           payload: str | None, expires: str | None = None) -> Claim:  # fmt: skip
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not signature or not signed_at:
        raise Refused(
            Reason.INCOMPLETE, "A signature needs a Credential of five parts, SignedHeaders, a Signature and a date."
        )
    names = tuple(signed_headers.split(";"))
    key, date, region, service, _ = parts
    return Claim(key, date, region, service, names, signature, signed_at, token, expires, payload)


def _of_version_2(request: Request) -> Claim:
    def one(name: str) -> str:
        return request.query.get(name, [""])[0]

    token = one("x-amz-security-token")
    return Claim(one("AWSAccessKeyId"), "", "", "s3", (), one("Signature"), "", token, one("Expires"), UNSIGNED, 2)


def check_time(found: Claim, now: datetime.datetime | None = None) -> None:
    """Raises Refused for a request signed more than 15 minutes ago, and for a presigned URL that has expired."""
    now = now or datetime.datetime.now(datetime.UTC)
    if found.version == 2:
        if not (found.expires or "").isdigit() or int(found.expires or 0) < now.timestamp():
            raise Refused(Reason.EXPIRED_URL, "Request has expired")
        return
    try:
        signed_at = datetime.datetime.strptime(found.signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise Refused(Reason.INCOMPLETE, f"{found.signed_at!r} is not a date like 20260131T120000Z.") from error
    if found.date != found.signed_at[:8]:
        raise Refused(Reason.BAD_SIGNATURE, "The date of the credential is not the date of the request.")
    if found.expires is None:
        if abs(now - signed_at) > _SKEW:
            message = f"Signature expired: {found.signed_at} is more than 15 minutes from {now:%Y%m%dT%H%M%SZ}."
            raise Refused(Reason.SKEWED, message)
        return
    seconds = int(found.expires) if found.expires.isascii() and found.expires.isdigit() else -1
    if not 1 <= seconds <= _MAX_URL_SECONDS:
        raise Refused(Reason.INCOMPLETE, f"X-Amz-Expires must be between 1 and {_MAX_URL_SECONDS} seconds.")
    if signed_at - now > _SKEW or now > signed_at + datetime.timedelta(seconds=seconds):
        raise Refused(Reason.EXPIRED_URL, "Request has expired")


def find(found: Claim, find_key: FindKey) -> Key:
    """The key that the request names, whose session token it has to hold. Raises Refused."""
    key = find_key(found.access_key_id)
    unknown = Refused(Reason.UNKNOWN_KEY, "The security token included in the request is invalid.")
    if key is None:
        raise unknown
    if key.expiration is not None and time.time() > key.expiration:
        raise Refused(Reason.EXPIRED_TOKEN, "The security token included in the request is expired")
    if not hmac.compare_digest((key.session_token or "").encode(), found.token.encode()):
        raise unknown
    return key


def verify(request: Request, found: Claim, key: Key, payload: str) -> None:
    """Raises Refused unless the holder of the key signed this request with a body of this hash."""
    if found.version == 2:
        expected = _version_2(request, found, key)
    else:
        _check_headers(request, found)
        canonical = _canonical(request, found, payload)
        text = "\n".join(
            (_ALGORITHM, found.signed_at, f"{found.date}/{found.region}/{found.service}/aws4_request", canonical)
        )
        signing_key = _signing_key(key.secret_key, found.date, found.region, found.service)
        expected = hmac.new(signing_key, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), found.signature.encode()):
        raise Refused(
            Reason.BAD_SIGNATURE,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def is_hash(payload: str) -> bool:
    return _HASH.fullmatch(payload) is not None


def _check_headers(request: Request, found: Claim) -> None:
    """What decides the operation has to be signed: AWS asks for the host and all of ``x-amz-*``."""
    needed = {name for name in request.headers if name.startswith("x-amz-")} - _UNSIGNED_HEADERS | {"host"}
    missing = needed - {name.lower() for name in found.signed_headers}
    if missing:
        raise Refused(Reason.BAD_SIGNATURE, f"These headers are not signed: {', '.join(sorted(missing))}.")


def _canonical(request: Request, found: Claim, payload: str) -> str:
    """The SHA-256 of the canonical request. S3 signs the path as it is sent, the others encode it once more."""
    path = request.raw_path if found.service == "s3" else quote(_normal(request.raw_path), safe="/-_.~")
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, values in request.query.items()
        if found.expires is None or name.lower() != "x-amz-signature"
        for value in values
    )
    headers = "".join(
        f"{name.lower()}:{' '.join(request.headers.get(name.lower(), '').split())}\n" for name in found.signed_headers
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    lines = (request.method, path, query, headers, ";".join(found.signed_headers), payload)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _normal(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments[-1:] = []
        elif segment not in ("", "."):
            segments.append(segment)
    return "/" + "/".join(segments) + ("/" if path.endswith("/") and segments else "")


@lru_cache(256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _version_2(request: Request, found: Claim, key: Key) -> str:
    pairs = [(name, value) for name, values in request.query.items() for value in values]
    split = urlsplit(f"http://host{request.raw_path}?{urlencode(pairs)}")
    headers = HTTPHeaders()
    for name, value in request.headers.items():
        if name in ("content-md5", "content-type") or name.startswith("x-amz-"):
            headers[name] = value
    signer = _Version2(Credentials(found.access_key_id, key.secret_key, key.session_token), found.expires or "")
    signature: str = signer.get_signature(request.method, split, headers)
    return signature


class _Version2(HmacV1Auth):  # type: ignore[misc]
    """Signs an expiry in the place of a date, as the query of a presigned URL has it."""

    def __init__(self, credentials: Credentials, expires: str) -> None:
        super().__init__(credentials)
        self._expires = expires

    def _get_date(self) -> str:
        return self._expires


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
