"""The one boto3 session of a function's process, and what its errors are called.

Importing boto3 takes 88 ms of a cold start and the first client most of the rest; a second client of the same
session costs 3 ms. So there is one session, and a client is made when it is first asked for.
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
DENIED = frozenset({"403", "AccessDenied"})  # of S3; the first is what HeadObject answers, which has no body


class LambdaContext(Protocol):
    """What the functions use of the context that Lambda hands to a handler."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


@cache
def session() -> Any:
    return boto3.Session()


@cache
def client(service: str, read_timeout: int = 20) -> Any:
    """The process's client of a service: "s3", "sqs", "sagemaker", "sagemaker-runtime", "ec2".

    A call that hangs is given up after `read_timeout` seconds: boto3's own 60 s would leave no time for a second
    attempt.
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
    """Whether SageMaker's answer is a refusal of the request that speaks of these words.

    SageMaker has no code of its own for "already exists" and "could not find": it answers ValidationException (or
    ConflictException), and only the message tells which.
    """
    message = error_message(error).lower()
    return error_code(error) in {"ValidationException", "ConflictException"} and all(word in message for word in words)
