"""The boto3 session and clients of a function's process, and the codes of AWS's errors.

Importing boto3 takes 88 ms of a cold start, and the first client takes most of the rest; a second client of the same
session costs 3 ms. So there is one session, and each client is created on first use.
"""

from functools import cache
from typing import Any, Protocol, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# boto3 makes its clients at run time and ships no types for them.
Ec2Client: TypeAlias = Any
RuntimeClient: TypeAlias = Any  # of SageMaker's endpoints
S3Client: TypeAlias = Any
SqsClient: TypeAlias = Any

HEAD_REQUESTS_AT_ONCE = 16
NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
DENIED = frozenset({"403", "AccessDenied"})  # of S3; HeadObject answers the first, because it has no body


class LambdaContext(Protocol):
    """The members of the handler's context object that the functions use."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


@cache
def session() -> Any:
    return boto3.Session()


@cache
def client(service: str, read_timeout: int = 20) -> Any:
    """The process's client of a service: "s3", "sqs", "sagemaker", "sagemaker-runtime", "ec2".

    A call times out after `read_timeout` seconds: boto3's default of 60 s would leave no time for a second attempt.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=HEAD_REQUESTS_AT_ONCE,
    )
    return session().client(service, config=config)


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def says(error: ClientError, *words: str) -> bool:
    """Whether SageMaker rejected the request with a message that contains these words.

    SageMaker has no separate error codes for "already exists" and "could not find". It answers ValidationException (or
    ConflictException), and only the message distinguishes them.
    """
    message = error_message(error).lower()
    return error_code(error) in {"ValidationException", "ConflictException"} and all(word in message for word in words)
