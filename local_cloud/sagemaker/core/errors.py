"""Errors that travel to the client in AWS's form: a code and a message.

ServiceError                    any error answer; carries the AWS error code
├── ValidationException         the request is not valid
├── ResourceNotFound            the named resource does not exist
├── ResourceInUse               the named resource exists already, or is busy
├── ConflictException           the request contradicts the state of the resource
├── AccessDenied                the caller, or the role it passed, may not do this
└── DiskFull                    what should be kept cannot be written
"""

from typing import ClassVar


class ServiceError(Exception):
    """An error answer of the API. ``code`` is AWS's error code, ``status`` the HTTP status."""

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 400


class ValidationException(ServiceError):
    code = "ValidationException"


class ResourceNotFound(ServiceError):
    code = "ResourceNotFound"


class ResourceInUse(ServiceError):
    code = "ResourceInUse"


class ConflictException(ServiceError):
    code = "ConflictException"


class AccessDenied(ServiceError):
    code = "AccessDeniedException"
    status = 403


class DiskFull(ServiceError):
    """As AWS says it when storing fails: its clients try again."""

    code = "InternalFailure"
    status = 500
