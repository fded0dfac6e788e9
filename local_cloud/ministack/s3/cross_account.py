"""Buckets of other accounts: who asks is a role, not its account, and whose the bucket is can be a condition."""

import contextvars
import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_evaluator
from ministack.services import s3

_BUCKET = "arn:aws:s3:::"

_caller = contextvars.ContextVar[str | None]("caller", default=None)


def install() -> None:
    s3._foreign_bucket_allows = _asked_by_the_caller(s3._foreign_bucket_allows)
    iam_evaluator.evaluate_resource_policy = _for_the_caller(iam_evaluator.evaluate_resource_policy)
    s3.handle_request = _of_the_expected_owner(s3.handle_request)
    iam_evaluator._resolve_condition_key = _owner_of_bucket(iam_evaluator._resolve_condition_key)


def _asked_by_the_caller(original: Callable[..., bool]) -> Callable[..., bool]:
    """ministack has a bucket's policy judge the caller's account; a policy that names a role would never match."""

    def allows(
        owner: str, bucket: str, key: str, method: str, query: dict[str, Any], caller: str,
        headers: dict[str, str] | None = None,
    ) -> bool:  # fmt: skip
        token = _caller.set(iam_evaluator.request_caller_arn(headers or {}, query) if caller else None)
        try:
            return original(owner, bucket, key, method, query, caller, headers)
        finally:
            _caller.reset(token)

    return allows


def _of_the_expected_owner(handle: Callable[..., Any]) -> Callable[..., Any]:
    """``ExpectedBucketOwner`` and ``ExpectedSourceBucketOwner`` of every operation, which ministack passes over.

    "If the account ID that you provide does not match the actual owner of the bucket, the request fails with the HTTP
    status code 403 Forbidden (access denied)": S3's API reference, for each operation.
    """

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], *more: Any, **named: Any
    ) -> Any:
        bucket, _ = s3._parse_bucket_key(path, headers)
        source = unquote(headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[0]
        for name, said in ((bucket, "x-amz-expected-bucket-owner"), (source, "x-amz-source-expected-bucket-owner")):
            expected = headers.get(said) or "".join(query.get(said, ""))
            if expected and s3._bucket_owner_account(name) not in (None, expected):
                return s3._error("AccessDenied", "Access Denied", 403)
        return await handle(method, path, headers, body, query, *more, **named)

    return handle_request


def _for_the_caller(original: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(document: Any, context: Any, *more: Any, **named: Any) -> Any:
        caller = _caller.get()
        asked = context if caller is None else dataclasses.replace(context, principal_arn=caller)
        return original(document, asked, *more, **named)

    return evaluate


def _owner_of_bucket(original: Callable[..., Any]) -> Callable[..., Any]:
    """``aws:ResourceAccount`` of a bucket, whose ARN has no account: ministack takes the caller's."""

    def resolve(key: str, context: Any) -> Any:
        if key.lower() in ("aws:resourceaccount", "s3:resourceaccount") and context.resource_arn.startswith(_BUCKET):
            owner = s3._bucket_owner_account(context.resource_arn.removeprefix(_BUCKET).partition("/")[0])
            if owner is not None:
                return owner
        return original(key, context)

    return resolve
