"""Access keys: ministack takes the root of an account on trust, here its signature is verified like every other."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam, s3, sts
from ministack.services.cloudformation import custom_resource

from local_cloud.door import Key

_ACCOUNT = re.compile(r"[0-9]{12}")

SecretKey = Callable[[str], str]
"""The secret key of an account's root."""


def install(root_secret_key: SecretKey) -> None:
    resolve = _with_secret(iam_evaluator.resolve_credential, root_secret_key)
    for module in (iam_evaluator, s3, sts):
        module.resolve_credential = resolve
    # "test", and whatever AWS_ACCESS_KEY_ID is, were roots as well. The empty key stands for an unsigned request to S3.
    iam_evaluator.is_root_access_key = sts.is_root_access_key = lambda key: not key or is_root(key)
    iam_evaluator._is_root_key = lambda key: False  # those whose signature is not verified


def find_key(root_secret_key: SecretKey) -> Callable[[str], Key | None]:
    """Of an access key ID the key, if there is one and it is active: a root's, a session's or a user's."""

    def find(access_key_id: str) -> Key | None:
        if is_root(access_key_id):
            return Key(root_secret_key(access_key_id))
        session = sts._sessions.get(access_key_id)
        if session is not None:
            expiration = session.get("Expiration")
            return Key(session["SecretAccessKey"], session.get("SessionToken"), expiration)
        try:
            account = iam_evaluator.find_iam_access_key_account(access_key_id)
        except iam_evaluator.AmbiguousAccessKeyError:
            return None
        record = iam._access_keys.get_scoped(account, None, access_key_id) if account else None
        return Key(record["SecretAccessKey"]) if record and record.get("Status") == "Active" else None

    return find


def expects_response(token: str) -> bool:
    """Whether a custom resource of a stack waits for the answer that has this token."""
    return token in custom_resource._pending


def is_root(access_key_id: str) -> bool:
    return _ACCOUNT.fullmatch(access_key_id) is not None


def _with_secret(original: Callable[..., Any], root_secret_key: SecretKey) -> Callable[..., Any]:
    def resolve(access_key_id: str, *arguments: Any, **named: Any) -> Any:
        found = original(access_key_id, *arguments, **named)
        if isinstance(found, iam_evaluator.ResolvedCredential) and found.principal_type == "Root":
            return dataclasses.replace(found, secret_access_key=root_secret_key(found.account_id))
        return found

    return resolve
