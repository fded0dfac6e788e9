"""Refusals, in the words and the form that a client of the service expects."""

import json
from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import escape

Headers = dict[str, str]


class Reason(Enum):
    """Status, and the error code of S3, of the query protocols and of the JSON protocols."""

    NOT_SERVED = 404, "NoSuchKey", "InvalidAction", "UnknownOperationException"
    NOT_SIGNED = 403, "AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException"
    INCOMPLETE = 400, "AuthorizationHeaderMalformed", "IncompleteSignature", "IncompleteSignatureException"
    UNKNOWN_KEY = 403, "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"
    BAD_SIGNATURE = 403, "SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"
    EXPIRED_TOKEN = 400, "ExpiredToken", "ExpiredToken", "ExpiredTokenException"
    SKEWED = 403, "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException"
    EXPIRED_URL = 403, "AccessDenied", "RequestExpired", "InvalidSignatureException"
    OTHER_BODY = 400, "XAmzContentSHA256Mismatch", "SignatureDoesNotMatch", "InvalidSignatureException"
    TOO_LARGE = 413, "EntityTooLarge", "RequestEntityTooLarge", "RequestEntityTooLargeException"
    TOO_SLOW = 408, "RequestTimeout", "RequestTimeout", "RequestTimeoutException"

    def __init__(self, status: int, s3: str, query: str, json: str) -> None:
        self.status, self.s3, self.query, self.json = status, s3, query, json


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


def answer(refused: Refused, headers: Headers, service: str) -> Answer:
    """The error document for this request, whose service is the empty string when its signature does not say one."""
    reason, message = refused.reason, str(refused)
    target, content_type = headers.get("x-amz-target"), headers.get("content-type", "")
    if target is None and content_type.startswith("application/x-www-form-urlencoded"):
        return _xml(reason.status, _query(reason.query, message, is_ec2=service == "ec2"))
    if target is None and service in ("s3", "") and not content_type.startswith("application/json"):
        return _xml(reason.status, f"<Error><Code>{reason.s3}</Code><Message>{escape(message)}</Message></Error>")
    document = {"__type": reason.json, "message": message, "Message": message}
    more = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": reason.json}
    return Answer(reason.status, more, json.dumps(document).encode())


def _query(code: str, message: str, *, is_ec2: bool) -> str:
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if is_ec2:
        return f"<Response><Errors>{error}</Errors><RequestID>refused</RequestID></Response>"
    return f"<ErrorResponse>{error}<RequestId>refused</RequestId></ErrorResponse>"


def _xml(status: int, document: str) -> Answer:
    return Answer(status, {"Content-Type": "application/xml"}, document.encode())


def plain(status: int, message: str) -> Answer:
    """For a client that is none of AWS's."""
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{message}\n".encode())
