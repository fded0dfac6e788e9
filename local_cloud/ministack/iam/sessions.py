"""Temporary credentials of roles: random, with an expiry, and lost when the local cloud ends."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import iam, lambda_svc, sts

from local_cloud.sagemaker.core.cloud import Credentials

LIFE = 3600.0  # seconds

_of_functions: dict[tuple[str, str], Credentials] = {}


def install() -> None:
    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = _execution_credentials
    lambda_runtime.Worker.invoke = _prolonging(lambda_runtime.Worker.invoke)


def begin(role_arn: str, session: str) -> Credentials:
    """New credentials of the role."""
    credentials = Credentials(
        access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
        secret_access_key=secrets.token_urlsafe(30),
        session_token=secrets.token_urlsafe(96),
        expiration=time.time() + LIFE,
    )
    _register(credentials, role_arn, session)
    return credentials


def prolong(credentials: Credentials) -> None:
    """Lets them live for another hour, for a process that was given them and cannot ask for new ones."""
    session = sts._sessions.get(credentials.access_key_id)
    if session is not None:
        session["Expiration"] = time.time() + LIFE


def end(credentials: Credentials) -> None:
    sts._sessions.pop(credentials.access_key_id, None)


def _register(credentials: Credentials, role_arn: str, session: str) -> None:
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, name) or {}
    sts.register_session(credentials.access_key_id, {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "UserId": f"{role.get('RoleId', name)}:{session}",
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
        "Expiration": time.time() + LIFE,
    })  # fmt: skip


def _execution_credentials(config: dict[str, Any]) -> dict[str, str]:
    """In the place of ministack's, which derives a function's credentials from its ARN."""
    key = (config["FunctionArn"], config["Role"])
    if key not in _of_functions:
        _of_functions[key] = begin(config["Role"], config["FunctionName"])
    credentials = _of_functions[key]
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
    }


def _prolonging(original: Callable[..., Any]) -> Callable[..., Any]:
    """A warm process keeps the credentials that it was started with: they expire an hour after the last invocation."""

    def invoke(worker: Any, *arguments: Any, **named: Any) -> Any:
        credentials = _of_functions.get((worker.config["FunctionArn"], worker.config["Role"]))
        if credentials is not None:
            if credentials.access_key_id in sts._sessions:
                prolong(credentials)
            else:
                _register(credentials, worker.config["Role"], worker.config["FunctionName"])
        return original(worker, *arguments, **named)

    return invoke
